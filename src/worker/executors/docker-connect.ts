// The way to the engine, as `--docker`, DOCKER_HOST and Docker's other variables say.

import { Agent } from "node:http";
import { inspect } from "node:util";
import type Docker from "dockerode";
import { engineWords } from "./docker-errors.js";
import { DockerClient } from "./dockerode.js";

export function addressOf(dockerHost: string | undefined): string {
  return dockerHost ?? process.env.DOCKER_HOST ?? "unix:///var/run/docker.sock";
}

/** Over a connection of its own: those that are open are served until the end. */
export async function knock(dockerHost: string | undefined): Promise<void> {
  const { docker, agent } = connect(dockerHost);
  try {
    await docker.ping();
  } finally {
    agent?.destroy();
  }
}

export interface Connection {
  readonly docker: Docker;
  /** Own connections, kept open: the global agent's would outlive the executor. */
  readonly agent: Agent | null;
}

/**
 * The engine's client describes each request in full for a log that nobody reads, the agent with all its sockets
 * included: that took more time than everything else of a request.
 */
class BriefAgent extends Agent {
  [inspect.custom](): string {
    return "Agent";
  }
}

export function connect(dockerHost: string | undefined): Connection {
  const host = dockerHost ?? process.env.DOCKER_HOST ?? "";
  const agent = new BriefAgent({ keepAlive: true });
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

/** Rejects with words for the user where no engine answers, or none that runs Linux. */
export async function checkEngine(docker: Docker, dockerHost: string | undefined): Promise<void> {
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
