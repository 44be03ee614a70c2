// How a container gets its source: by a mount, where the engine sees this machine's files; else as an archive.

import { spawn } from "node:child_process";
import { once } from "node:events";
import type Docker from "dockerode";
import { engineWords } from "./docker-errors.js";
import { ExecutorFault, type SandboxSource } from "./executor.js";

/** rslave: what is mounted over the folder later is seen inside, and nothing that is mounted inside is seen here. */
export function sourceMount({ folder, path }: SandboxSource): Docker.MountSettings {
  return { Type: "bind", Source: folder, Target: path, BindOptions: { Propagation: "rslave" } };
}

/** Of an engine in another place, or a worker that is in a container itself. */
export function isMissingFolder(error: unknown): boolean {
  return error instanceof ExecutorFault && /bind source path does not exist/.test(error.message);
}

/** Into a container that has not started. */
export async function copySource(container: Docker.Container, { folder, path }: SandboxSource) {
  const below = path.replace(/^\/+/, "");
  // S: what a link points to stays as it is.
  const transform = `--transform=s,^\\.,${below.replace(/[\\,&]/g, "\\$&")},S`;
  const tar = spawn("tar", ["-C", folder, "--numeric-owner", transform, "-cf", "-", "."], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let words = "";
  tar.stderr.on("data", (chunk) => {
    words += chunk;
  });
  const ended = once(tar, "close");
  ended.catch(() => {});
  try {
    await container.putArchive(tar.stdout, { path: "/" });
    const [code] = await ended;
    if (code !== 0) throw new Error(words.trim());
  } catch (error) {
    tar.kill("SIGKILL");
    throw new ExecutorFault(
      `the source could not be copied into the container: ${engineWords(error)}`,
    );
  }
}
