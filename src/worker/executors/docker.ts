// A fresh container for each command.

import { randomBytes } from "node:crypto";
import { Agent } from "node:http";
import type Docker from "dockerode";
import { currentOwner, isDead, ownerKey } from "../../lib/owner.js";
import { defaultMaxPids } from "../maxima.js";
import { openContainer, remove } from "./docker-container.js";
import { diskLimitProblem } from "./docker-disk.js";
import { answered, engineWords, statusOf } from "./docker-errors.js";
import { startDockerGuard } from "./docker-guard.js";
import { createImages, type PullPolicy } from "./docker-images.js";
import { ownerLabel, removeLeftovers } from "./docker-leftovers.js";
import { type EngineLife, EngineLink } from "./docker-link.js";
import { copySource, isMissingFolder, sourceMount } from "./docker-source.js";
import { DockerClient } from "./dockerode.js";
import { type Executor, ExecutorFault, type OpenOptions, type SandboxSpec } from "./executor.js";

export interface DockerExecutorOptions {
  /** As in DOCKER_HOST, which counts where this is absent. */
  readonly dockerHost?: string | undefined;
  readonly pull: PullPolicy;
  /** Of every command; refused at the start where the engine cannot. */
  readonly limitsDisk?: boolean;
  readonly log: (line: string) => void;
}

export async function createDockerExecutor(options: DockerExecutorOptions): Promise<Executor> {
  const { log } = options;
  const { docker, agent } = connect(options.dockerHost);
  await checkEngine(docker, options.dockerHost);
  if (options.limitsDisk) {
    const problem = diskLimitProblem(await docker.info());
    if (problem !== null) throw new Error(`${problem}. Start without --max-disk`);
  }
  await removeLeftovers(docker, log, (owner) => isDead(owner));
  const images = createImages(docker, options.pull);
  const owner = ownerKey(currentOwner());
  const link = await EngineLink.open({
    docker,
    address: addressOf(options.dockerHost),
    label: `${ownerLabel}=${owner}`,
    knock: () => knock(options.dockerHost),
    // All of our own too: whoever waited for them has been told that they are lost.
    returned: async () => {
      await removeLeftovers(docker, log, (of) => ownerKey(of) === owner || isDead(of));
    },
  });
  const guard = startDockerGuard(owner, options.dockerHost);

  let mountsSources = addressOf(options.dockerHost).startsWith("unix://");

  async function create(life: EngineLife, config: Docker.ContainerCreateOptions) {
    const creating = createContainer(docker, config);
    try {
      return await life.during(creating);
    } catch (error) {
      // An engine that is back sooner than the old one's end is noticed may still make it.
      void creating.then((container) => container && remove(container, log)).catch(() => {});
      throw error;
    }
  }

  async function open(life: EngineLife, spec: SandboxSpec, { signal, progress }: OpenOptions) {
    const config = containerConfig(spec, owner, mountsSources);
    const pull = () => life.during(images.pull(spec.image, { signal, progress }));
    if (options.pull === "always") await pull();
    signal.throwIfAborted();
    // Creating tells whether the image is here; asking first would cost every command a round trip.
    let container = await create(life, config);
    if (!container) {
      await pull();
      signal.throwIfAborted();
      container = await create(life, config);
    }
    if (!container) throw new ExecutorFault(`image "${spec.image}" was pulled, and is not here`);
    if (spec.source && !mountsSources) {
      try {
        await life.during(copySource(container, spec.source));
      } catch (error) {
        void remove(container, log);
        throw error;
      }
    }
    return openContainer(container, { spec, life, signal, log });
  }

  /** What goes wrong while the engine goes down is its doing, whatever it says last. */
  async function orLost<T>(life: EngineLife, work: Promise<T>): Promise<T> {
    try {
      return await life.during(work);
    } catch (error) {
      if (!(error instanceof ExecutorFault) || (await link.isSound(life)) || error.lost)
        throw error;
      throw new ExecutorFault(`${error.message}; the Docker engine is going away`, { lost: true });
    }
  }

  return {
    name: "docker",
    isolated: true,
    onProblem: (listener) => link.onProblem(listener),

    async open(spec, io) {
      const life = link.life();
      const opening = open(life, spec, io).catch((error: unknown) => {
        if (!mountsSources || !isMissingFolder(error)) throw error;
        log("the engine does not see this machine's files: sources are copied into containers");
        mountsSources = false;
        return open(life, spec, io);
      });
      try {
        const sandbox = await orLost(life, opening);
        return { ...sandbox, run: (sink) => orLost(life, sandbox.run(sink)) };
      } catch (error) {
        void opening.then((sandbox) => sandbox.dispose()).catch(() => {});
        throw error;
      }
    },

    async close() {
      link.close();
      guard.close();
      agent?.destroy();
    },
  };
}

function addressOf(dockerHost: string | undefined): string {
  return dockerHost ?? process.env.DOCKER_HOST ?? "unix:///var/run/docker.sock";
}

/** Over a connection of its own: those that are open are served until the end. */
async function knock(dockerHost: string | undefined): Promise<void> {
  const { docker, agent } = connect(dockerHost);
  try {
    await docker.ping();
  } finally {
    agent?.destroy();
  }
}

interface Connection {
  readonly docker: Docker;
  /** Own connections, kept open: the global agent's would outlive the executor. */
  readonly agent: Agent | null;
}

export function connect(dockerHost: string | undefined): Connection {
  const host = dockerHost ?? process.env.DOCKER_HOST ?? "";
  const agent = new Agent({ keepAlive: true });
  if (host === "") {
    const local = { agent, protocol: "http" } as const;
    return { docker: new DockerClient(local), agent };
  }
  if (host.startsWith("unix://")) {
    const socket = { agent, socketPath: host.slice("unix://".length) };
    return { docker: new DockerClient(socket), agent };
  }
  // What is left reads certificates or keys from the environment, which dockerode does by itself.
  if (dockerHost === undefined) return { docker: new DockerClient(), agent: null };
  const url = new URL(host.includes("://") ? host : `tcp://${host}`);
  if (url.protocol === "ssh:") {
    const sshAgent = process.env.SSH_AUTH_SOCK;
    const docker = new DockerClient({
      protocol: "ssh",
      host: url.hostname,
      port: url.port || 22,
      username: url.username,
      ...(sshAgent && { sshOptions: { agent: sshAgent } }),
    });
    return { docker, agent: null };
  }
  const tcp = { agent, host: url.hostname, port: url.port || 2375 };
  return { docker: new DockerClient(tcp), agent };
}

async function checkEngine(docker: Docker, dockerHost: string | undefined) {
  const address = addressOf(dockerHost);
  let os: string;
  try {
    ({ Os: os } = await docker.version());
  } catch (error) {
    throw new Error(
      `no Docker engine answers at ${address} (${engineWords(error)}). ` +
        "Start Docker, or name its address with --docker or DOCKER_HOST; " +
        "or run commands right on this machine, without isolation: --executor process",
      { cause: error },
    );
  }
  if (os !== "linux")
    throw new Error(`the Docker engine at ${address} runs ${os} containers, not Linux ones`);
}

/** Null where the image is missing. */
async function createContainer(docker: Docker, config: Docker.ContainerCreateOptions) {
  try {
    return await answered(docker.createContainer(config));
  } catch (error) {
    if (statusOf(error) === 404) return null;
    throw new ExecutorFault(
      `Docker could not make a container of image "${config.Image}": ${engineWords(error)}`,
      { lost: statusOf(error) === null },
    );
  }
}

function containerConfig(
  spec: SandboxSpec,
  owner: string,
  mountsSources: boolean,
): Docker.ContainerCreateOptions {
  const { source } = spec;
  const workdir = spec.workdir ?? source?.path;
  return {
    name: `bettertest-${randomBytes(6).toString("hex")}`,
    Image: spec.image,
    // In place of the image's own: the command is sh's, whatever the image was made for.
    Entrypoint: ["sh"],
    Cmd: ["-c", spec.command],
    Env: Object.entries(spec.env ?? {}).map(([name, value]) => `${name}=${value}`),
    ...(workdir !== undefined && { WorkingDir: workdir }),
    ...(spec.user !== undefined && { User: spec.user }),
    Labels: { [ownerLabel]: owner },
    AttachStdout: true,
    AttachStderr: true,
    // Closed from the start: a command that reads gets the end of its input, and does not wait.
    OpenStdin: false,
    // A health check would run beside the test, for nobody.
    Healthcheck: { Test: ["NONE"] },
    HostConfig: {
      // Output is read from the attach stream alone, and kept in the worker's spool: the engine's own
      // log would cost a factor of five or more in speed, and disk that nobody bounds.
      LogConfig: { Type: "none", Config: {} },
      SecurityOpt: ["no-new-privileges"],
      PidsLimit: spec.pids ?? defaultMaxPids,
      ...(spec.network === false && { NetworkMode: "none" }),
      ...(source && mountsSources && { Mounts: [sourceMount(source)] }),
      ...(spec.cpus !== undefined && { NanoCpus: Math.round(spec.cpus * 1e9) }),
      ...(spec.diskBytes !== undefined && { StorageOpt: { size: String(spec.diskBytes) } }),
      // Equal, so that the limit cannot be passed by swapping.
      ...(spec.memoryBytes !== undefined && {
        Memory: spec.memoryBytes,
        MemorySwap: spec.memoryBytes,
      }),
    },
  };
}
