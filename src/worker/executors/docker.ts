// A fresh container for each command.

import { randomBytes } from "node:crypto";
import { Agent } from "node:http";
import Docker from "dockerode";
import { currentOwner, isDead, ownerKey, parseOwnerKey } from "../../lib/owner.js";
import { openContainer } from "./docker-container.js";
import { answered, engineWords, statusOf } from "./docker-errors.js";
import { createImages, type PullPolicy } from "./docker-images.js";
import { type Executor, ExecutorFault, type SandboxSpec } from "./executor.js";

export interface DockerExecutorOptions {
  /** As in DOCKER_HOST, which counts where this is absent. */
  readonly dockerHost?: string | undefined;
  readonly pull: PullPolicy;
  readonly log: (line: string) => void;
}

export const ownerLabel = "bettertest.owner";

/** A fork bomb must not take the machine with it; no test suite is known to need more. */
const mostProcesses = 4096;

export async function createDockerExecutor(options: DockerExecutorOptions): Promise<Executor> {
  const { log } = options;
  const { docker, agent } = connect(options.dockerHost);
  await checkEngine(docker, options.dockerHost);
  await removeLeftovers(docker, log);
  const images = createImages(docker, options.pull);
  const owner = ownerKey(currentOwner());

  return {
    name: "docker",
    isolated: true,

    async open(spec, { signal, progress }) {
      const config = containerConfig(spec, owner);
      if (options.pull === "always") await images.pull(spec.image, { signal, progress });
      signal.throwIfAborted();
      // Creating tells whether the image is here; asking first would cost every command a round trip.
      let container = await createContainer(docker, config);
      if (!container) {
        await images.pull(spec.image, { signal, progress });
        signal.throwIfAborted();
        container = await createContainer(docker, config);
      }
      if (!container) throw new ExecutorFault(`image "${spec.image}" was pulled, and is not here`);
      return openContainer(container, { spec, signal, log });
    },

    async close() {
      agent?.destroy();
    },
  };
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
    return { docker: new Docker(local), agent };
  }
  if (host.startsWith("unix://")) {
    const socket = { agent, socketPath: host.slice("unix://".length) };
    return { docker: new Docker(socket), agent };
  }
  // What is left reads certificates or keys from the environment, which dockerode does by itself.
  if (dockerHost === undefined) return { docker: new Docker(), agent: null };
  const url = new URL(host.includes("://") ? host : `tcp://${host}`);
  if (url.protocol === "ssh:") {
    const sshAgent = process.env.SSH_AUTH_SOCK;
    const docker = new Docker({
      protocol: "ssh",
      host: url.hostname,
      port: url.port || 22,
      username: url.username,
      ...(sshAgent && { sshOptions: { agent: sshAgent } }),
    });
    return { docker, agent: null };
  }
  const tcp = { agent, host: url.hostname, port: url.port || 2375 };
  return { docker: new Docker(tcp), agent };
}

async function checkEngine(docker: Docker, dockerHost: string | undefined) {
  const address = dockerHost ?? process.env.DOCKER_HOST ?? "unix:///var/run/docker.sock";
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
    );
  }
}

function containerConfig(spec: SandboxSpec, owner: string): Docker.ContainerCreateOptions {
  return {
    name: `bettertest-${randomBytes(6).toString("hex")}`,
    Image: spec.image,
    // In place of the image's own: the command is sh's, whatever the image was made for.
    Entrypoint: ["sh"],
    Cmd: ["-c", spec.command],
    Env: Object.entries(spec.env ?? {}).map(([name, value]) => `${name}=${value}`),
    ...(spec.workdir !== undefined && { WorkingDir: spec.workdir }),
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
      PidsLimit: mostProcesses,
      ...(spec.network === false && { NetworkMode: "none" }),
      ...(spec.cpus !== undefined && { NanoCpus: Math.round(spec.cpus * 1e9) }),
      // Equal, so that the limit cannot be passed by swapping.
      ...(spec.memoryBytes !== undefined && {
        Memory: spec.memoryBytes,
        MemorySwap: spec.memoryBytes,
      }),
    },
  };
}

async function removeLeftovers(docker: Docker, log: (line: string) => void) {
  const found = await docker.listContainers({ all: true, filters: { label: [ownerLabel] } });
  const orphans = found.filter((container) => {
    const owner = parseOwnerKey(container.Labels[ownerLabel] ?? "");
    return owner !== null && isDead(owner);
  });
  if (orphans.length === 0) return;
  const containers = orphans.length === 1 ? "a container" : `${orphans.length} containers`;
  log(`removing ${containers} that a killed worker left behind`);
  await Promise.all(
    orphans.map(async ({ Id }) => {
      try {
        await docker.getContainer(Id).remove({ force: true, v: true });
      } catch (error) {
        // 404, 409: another worker that starts now is at it too.
        if (![404, 409].includes(statusOf(error) ?? 0)) {
          log(`could not remove container ${Id.slice(0, 12)}: ${engineWords(error)}`);
        }
      }
    }),
  );
}
