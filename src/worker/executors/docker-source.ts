// How a container gets its source, which may be known only when it has been started: by a mount, where the engine
// sees this machine's files; else as an archive.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { lstat, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type Docker from "dockerode";
import type { SourcePlace } from "../sources/places.js";
import { engineWords } from "./docker-errors.js";
import { ExecutorFault, type SandboxSource } from "./executor.js";
import { pathWithin } from "./source-path.js";

/** rslave: what is mounted over the folder later is seen inside, and nothing that is mounted inside is seen here. */
export function sourceMount(place: SourcePlace, path: string): Docker.MountSettings {
  return {
    Type: "bind",
    Source: place.path,
    Target: path,
    ...(place.isMounted && { BindOptions: { Propagation: "rslave" } }),
  };
}

export function folderMount(folder: string, path: string): Docker.MountSettings {
  return { Type: "bind", Source: folder, Target: path };
}

/** The container sees it from then on. */
export async function fillSource(
  container: Docker.Container,
  source: SandboxSource,
  {
    place,
    isShown,
    workdir,
  }: {
    readonly place: SourcePlace;
    /** By a mount. */
    readonly isShown: boolean;
    readonly workdir: string | undefined;
  },
): Promise<void> {
  await layOut(source, { place, workdir });
  if (!isShown) await copySource(container, place.path, source.path);
}

export async function layOut(
  { tree, path, layers }: SandboxSource,
  { place, workdir }: { readonly place: SourcePlace; readonly workdir: string | undefined },
): Promise<void> {
  await place.fill(tree, layers);
  const within = workdir === undefined ? null : pathWithin(path, workdir);
  if (within) await makeFolder(place.path, within);
}

/** A working directory that is not there is made, as engines do it; but no link is followed out of the source. */
async function makeFolder(folder: string, within: string): Promise<void> {
  let path = folder;
  for (const name of within.split("/")) {
    path = join(path, name);
    const found = await lstat(path).catch(() => null);
    if (!found) await mkdir(path, { mode: 0o755 });
    else if (!found.isDirectory()) return;
  }
}

/** Of an engine in another place, or a worker that is in a container itself. */
export function isMissingFolder(error: unknown): boolean {
  return error instanceof ExecutorFault && /bind source path does not exist/.test(error.message);
}

export async function copySource(container: Docker.Container, folder: string, path: string) {
  const below = path.replace(/^\/+/, "");
  // S: what a link points to stays as it is. Alike files are one in the store, and must not be one in the container.
  const transform = `--transform=s,^\\.,${below.replace(/[\\,&]/g, "\\$&")},S`;
  const tar = spawn(
    "tar",
    ["-C", folder, "--numeric-owner", "--hard-dereference", transform, "-cf", "-", "."],
    {
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
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
