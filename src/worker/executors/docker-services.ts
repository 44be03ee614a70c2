// The services of one command: fresh containers on a network of its own.
//
//   network ──► created, started, side by side ──► ready ──► the command begins ──► ended ──► removed
//                          │                         │
//                          └── dies, is never ready ─┴──► nothing begins, and all of it is removed

import type { Readable } from "node:stream";
import type Docker from "dockerode";
import { orAborted, within } from "../../lib/or-else.js";
import { formatDuration } from "../../lib/units.js";
import { defaultReadyTimeoutMs } from "../../wire/service.js";
import { createDemux } from "./demux.js";
import { answered, engineWords, statusOf } from "./docker-errors.js";
import type { ContainerNews, EngineLife } from "./docker-link.js";
import { createNetwork, moveToNetwork, removeNetwork } from "./docker-network.js";
import { whenReady } from "./docker-ready.js";
import { type ImageHealth, serviceConfig } from "./docker-service-config.js";
import {
  ExecutorFault,
  type OpenOptions,
  type OutputSink,
  type Sandbox,
  type SandboxExit,
  type SandboxSpec,
  type ServiceSpec,
  type ServicesIo,
} from "./executor.js";
import { LastLines } from "./last-lines.js";
import type { Removals } from "./removals.js";

export interface ServicesDeps {
  readonly docker: Docker;
  readonly owner: string;
  readonly life: EngineLife;
  readonly removals: Removals;
  /** Builds it, or pulls it where it is missing; gives its id. */
  readonly imageId: (of: Pick<ServiceSpec, "image" | "build">, io: OpenOptions) => Promise<string>;
  readonly log: (line: string) => void;
}

/** Of a service that is killed, what it wrote last is read within moments. */
const lastWordsMs = 5_000;
const shownLines = 10;

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
    return group.around(await opening);
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
    const { docker, owner } = deps;
    this.#deps = deps;
    this.#network = createNetwork(docker, { owner, internal: isCutOff });
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
    const service = new Service(name, container, this.#deps);
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
    const { docker, life, removals } = this.#deps;
    const making = answered(docker.createContainer(config));
    try {
      return await life.during(making);
    } catch (error) {
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

  around(sandbox: Sandbox): Sandbox {
    this.#isReady = true;
    return {
      ...sandbox,
      endServices: () => this.end(),
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

interface ReadyOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly progress: (text: string) => void;
}

class Service {
  readonly name: string;
  readonly news: ContainerNews;
  readonly #container: Docker.Container;
  readonly #deps: ServicesDeps;
  readonly #said = new LastLines();
  #output: Readable | null = null;
  #copied: Promise<void> = Promise.resolve();

  constructor(name: string, container: Docker.Container, deps: ServicesDeps) {
    this.name = name;
    this.#container = container;
    this.#deps = deps;
    this.news = deps.life.follow(container.id);
  }

  async start(sink: OutputSink): Promise<void> {
    const { life } = this.#deps;
    try {
      // Before the start: what a container writes while nobody is attached is lost.
      const options = { stream: true, stdout: true, stderr: true };
      const output = await life.during(answered(this.#container.attach(options)));
      this.#output = output as unknown as Readable;
      this.#copied = this.#copy(this.#output, sink);
      await life.during(answered(this.#container.start()));
    } catch (error) {
      if (error instanceof ExecutorFault) throw error;
      throw this.#fault(`could not be started: ${engineWords(error)}`, {
        lost: statusOf(error) === null,
      });
    }
  }

  async #copy(output: Readable, sink: OutputSink): Promise<void> {
    const payloadOf = createDemux();
    try {
      for await (const chunk of output) {
        const payload = payloadOf(chunk as Buffer);
        if (payload.length === 0) continue;
        this.#said.push(payload);
        const taking = sink(payload);
        if (taking) await taking;
      }
    } catch (error) {
      if (!this.#deps.life.isOver)
        this.#deps.log(`lost output of service "${this.name}": ${engineWords(error)}`);
    }
  }

  async untilReady(
    ready: Parameters<typeof whenReady>[1]["ready"] | "started",
    { timeoutMs, signal, progress }: ReadyOptions,
  ): Promise<void> {
    if (ready === "started") return;
    const { life } = this.#deps;
    const waiting = whenReady(this.#container, { ready, news: this.news });
    const dead = this.news.died.then(() => "dead" as const);
    try {
      const asked = waiting.ready.then(
        () => "ready" as const,
        // What asks it ends with it; the engine's word of that is on its way.
        async (error: unknown) => (await soon(dead)) ?? Promise.reject(error),
      );
      const known = within(timeoutMs, Promise.race([asked, dead]), () => "late" as const);
      const end = await life.during(orAborted(known, signal));
      if (end === "ready") return;
      if (end === "late") {
        const why = await waiting.why();
        throw this.#fault(`was not ready within ${formatDuration(timeoutMs)}: ${why}`, {
          hint: "does it need longer? Give it `timeout`; what it printed is kept beside the task's output",
        });
      }
      const { exitCode, outOfMemory } = await this.exit();
      await soon(this.#copied);
      if (this.news.signals.length > 0) {
        throw this.#fault(`was ended from outside (signal ${this.news.signals.join(", ")})`, {
          lost: true,
        });
      }
      const how = outOfMemory ? "ran out of memory" : `ended with exit code ${exitCode}`;
      throw this.#fault(`${how} before it was ready`);
    } catch (error) {
      if (!(error instanceof ExecutorFault) || error.lost || signal.aborted) throw error;
      const fault = error.message.startsWith("service ")
        ? error
        : this.#fault(error.message, { hint: error.hint });
      progress(this.#report(fault.message));
      const last = this.#said.lines(1)[0];
      if (last === undefined) throw fault;
      throw new ExecutorFault(`${fault.message}; it last printed: ${last}`, { hint: fault.hint });
    } finally {
    }
  }

  #fault(words: string, options: { hint?: string | undefined; lost?: boolean } = {}) {
    return new ExecutorFault(`service "${this.name}" ${words}`, options);
  }

  #report(message: string): string {
    const lines = this.#said.lines(shownLines);
    const shown = lines.length === 0 ? ["(it has printed nothing)"] : lines;
    return [message, ...shown.map((line) => `  ${this.name} | ${line}`), ""].join("\n");
  }

  /** When it has died. */
  async exit(): Promise<SandboxExit> {
    const { life } = this.#deps;
    const { State } = await life.during(answered(this.#container.inspect()));
    return { exitCode: State.ExitCode, outOfMemory: State.OOMKilled };
  }

  /** Resolves when all that it wrote has been taken. Never rejects. */
  async end(): Promise<void> {
    if (this.#deps.life.isOver) return this.#drop();
    const failed = (error: unknown) => {
      // It has ended by itself, or never started.
      if ([404, 409].includes(statusOf(error) ?? 0)) return;
      this.#deps.log(`could not end service "${this.name}": ${engineWords(error)}`);
    };
    await soon(
      this.#container
        .kill()
        .then(() => {}, failed)
        .then(() => this.#copied),
    );
    this.#drop();
  }

  #drop(): void {
    this.#output?.destroy();
  }

  async remove(): Promise<void> {
    this.news.forget();
    if (!this.#deps.life.isOver) {
      await this.#deps.removals.remove(this.#container.id);
      await soon(this.#copied);
    }
    this.#drop();
  }
}

/** Its value, or undefined where that takes too long. */
function soon<T>(work: Promise<T>): Promise<T | undefined> {
  return within(lastWordsMs, work, () => undefined);
}
