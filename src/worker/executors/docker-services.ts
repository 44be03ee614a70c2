// The services of one command: fresh containers on a network of its own.
//
//   network ──► created, started, side by side ──► ready ──► the command begins ──► ended ──► removed
//                          │                         │
//                          └── dies, is never ready ─┴──► nothing begins, and all of it is removed

import type Docker from "dockerode";
import { orAborted, within } from "../../lib/or-else.js";
import { defaultReadyTimeoutMs } from "../../wire/service.js";
import { answered, engineWords, statusOf } from "./docker-errors.js";
import type { EngineLife } from "./docker-link.js";
import { createNetwork, moveToNetwork, removeNetwork } from "./docker-network.js";
import { newsMustComeWithinMs, Service } from "./docker-service.js";
import { type ImageHealth, serviceConfig } from "./docker-service-config.js";
import {
  ExecutorFault,
  type OpenOptions,
  type Sandbox,
  type SandboxSpec,
  type ServiceSpec,
  type ServicesIo,
} from "./executor.js";
import type { Removals } from "./removals.js";

export interface ServicesDeps {
  readonly docker: Docker;
  readonly owner: string;
  readonly life: EngineLife;
  readonly removals: Removals;
  /** Builds it, or pulls it where it is missing; gives its id. */
  readonly imageId: (of: Pick<ServiceSpec, "image" | "build">, io: OpenOptions) => Promise<string>;
  readonly log: (line: string) => void;
  /** Of what is made. */
  readonly answerWithinMs?: number;
}

/** As Executor.open, given one that knows no services. */
export async function openWithServices(
  { services = {}, ...spec }: SandboxSpec,
  io: OpenOptions,
  open: (spec: SandboxSpec, io: OpenOptions) => Promise<Sandbox>,
  deps: ServicesDeps,
): Promise<Sandbox> {
  const failing = new AbortController();
  const signal = AbortSignal.any([io.signal, failing.signal]);
  const innerIo = { ...io, signal };
  const group = new ServiceGroup(deps, { isCutOff: spec.network === false });
  // On no network before it comes to theirs: the engine would leave its former address in /etc/hosts, and what listens
  // at its own name would find itself there.
  const opening = open({ ...spec, network: false }, innerIo);
  const parts = [
    opening.then((sandbox) => group.bring(sandbox.id)),
    ...Object.entries(services).map(([name, service]) => group.start(name, service, innerIo)),
  ];
  try {
    await orAborted(Promise.all(parts), signal);
    await orAborted(group.mustLive(innerIo.progress), signal);
    return group.around(await opening, io.services);
  } catch (error) {
    failing.abort(error);
    await Promise.allSettled(parts);
    await opening.then(
      (sandbox) => sandbox.dispose(),
      () => {},
    );
    await group.dispose();
    throw error;
  }
}

class ServiceGroup {
  readonly #deps: ServicesDeps;
  readonly #network: Promise<Docker.Network>;
  readonly #running: Service[] = [];
  #isReady = false;
  #ended: Promise<void> | null = null;
  #disposed: Promise<void> | null = null;

  constructor(deps: ServicesDeps, { isCutOff }: { readonly isCutOff: boolean }) {
    const { docker, owner, answerWithinMs, log } = deps;
    this.#deps = deps;
    this.#network = createNetwork(docker, { owner, internal: isCutOff, answerWithinMs, log });
    this.#network.catch(() => {});
  }

  async bring(container: string): Promise<void> {
    const { docker, life } = this.#deps;
    const network = await life.during(this.#network);
    await life.during(moveToNetwork(docker, container, network));
  }

  /** Resolves when it is ready. */
  async start(name: string, spec: ServiceSpec, io: OpenOptions): Promise<void> {
    const { docker, owner, life, removals, imageId } = this.#deps;
    const { signal } = io;
    const id = await imageId(spec, io).catch((error: unknown) => {
      if (!(error instanceof ExecutorFault)) throw error;
      const { message, hint, lost } = error;
      throw new ExecutorFault(`service "${name}": ${message}`, { hint, lost });
    });
    const network = await life.during(this.#network);
    const { Config } = await life.during(answered(docker.getImage(id).inspect()));
    signal.throwIfAborted();
    await life.during(removals.room());
    const { config, ready } = serviceConfig(name, spec, {
      imageId: id,
      owner,
      network: network.id,
      health: Config.Healthcheck as ImageHealth | undefined,
    });
    const container = await this.#created(name, config);
    const hasOwnMemory = spec.memoryBytes !== undefined;
    const service = new Service(name, container, { ...this.#deps, hasOwnMemory });
    this.#running.push(service);
    if (!io.services) throw new Error("nobody takes the output of services");
    await service.start(io.services.output(name));
    void service.news.died.then(() => this.#tellDeath(service, io.services));
    await service.untilReady(ready, {
      timeoutMs: spec.readyTimeoutMs ?? defaultReadyTimeoutMs,
      signal,
      progress: io.progress,
    });
  }

  async #created(name: string, config: Docker.ContainerCreateOptions): Promise<Docker.Container> {
    const { docker, life, removals, answerWithinMs } = this.#deps;
    const making = docker.createContainer(config);
    try {
      return await life.during(answered(making, answerWithinMs));
    } catch (error) {
      // It may still be made, by an engine that answers too late, or that is back before its end is noticed.
      void making.then((made) => removals.remove(made.id)).catch(() => {});
      if (error instanceof ExecutorFault) throw error;
      throw new ExecutorFault(
        `Docker could not make a container for service "${name}": ${engineWords(error)}`,
        { lost: statusOf(error) === null },
      );
    }
  }

  async #tellDeath(service: Service, io: ServicesIo | undefined): Promise<void> {
    if (!this.#isReady || this.#ended) return;
    const exit = await service.exit().catch(() => null);
    if (exit && !this.#ended) io?.died(service.name, exit);
  }

  /** Ready, each in its time; the first may have ended since. */
  async mustLive(progress: (text: string) => void): Promise<void> {
    await Promise.all(this.#running.map((service) => service.mustLive(progress)));
  }

  around(sandbox: Sandbox, io: ServicesIo | undefined): Sandbox {
    this.#isReady = true;
    for (const service of this.#running) if (service.hasDied) void this.#tellDeath(service, io);
    return {
      ...sandbox,
      endServices: () => this.end(),
      lostService: () => this.lost(),
      dispose: async () => {
        await sandbox.dispose();
        await this.dispose();
      },
    };
  }

  end(): Promise<void> {
    this.#ended ??= Promise.all(this.#running.map((service) => service.end())).then(() => {});
    return this.#ended;
  }

  async lost(): Promise<ExecutorFault | null> {
    // One that is being ended tells in any case how it has died.
    if (!this.#ended) {
      const deaths = this.#running.map(({ news }) => news.died);
      await within(newsMustComeWithinMs, Promise.all(deaths), () => {});
    }
    const looked = this.#running.filter(({ hasDied }) => hasDied || this.#ended);
    const faults = await Promise.all(looked.map((service) => service.lost()));
    return faults.find((fault) => fault !== null) ?? null;
  }

  dispose(): Promise<void> {
    this.#disposed ??= this.#removeAll();
    return this.#disposed;
  }

  async #removeAll(): Promise<void> {
    const { life, log } = this.#deps;
    await this.end();
    await Promise.all(this.#running.map((service) => service.remove()));
    const network = await this.#network.catch(() => null);
    // With its engine gone there is nobody to ask; it is removed when the engine is back.
    if (network && !life.isOver) await removeNetwork(network, log);
  }
}
