// How a container gets its source, which may be known only when it has been started: by a mount, where the engine
// sees this machine's files; else as an archive.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { lchown, lstat, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type Docker from "dockerode";
import type { Owner } from "../sources/owned-layers.js";
import type { SourcePlace } from "../sources/places.js";
import { engineWords } from "./docker-errors.js";
import { ExecutorFault, type SandboxFolder, type SandboxSource } from "./executor.js";
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
    owner,
  }: Layout & {
    /** By a mount. */
    readonly isShown: boolean;
  },
): Promise<void> {
  await layOut(source, { place, workdir, owner: isShown ? owner : null });
  if (!isShown) await copySource(container, { folder: place.path, path: source.path, owner });
}

export interface Layout {
  readonly place: SourcePlace;
  readonly workdir: string | undefined;
  /** As whom the command runs; null: root. */
  readonly owner: Owner | null;
}

export async function layOut(
  { tree, path, layers }: SandboxSource,
  { place, workdir, owner }: Layout,
): Promise<void> {
  await place.fill(tree, layers, owner);
  const within = workdir === undefined ? null : pathWithin(path, workdir);
  if (within) await makeFolder(place.path, within, owner);
}

/** A working directory that is not there is made, as engines do it; but no link is followed out of the source. */
async function makeFolder(folder: string, within: string, owner: Owner | null): Promise<void> {
  let path = folder;
  for (const name of within.split("/")) {
    path = join(path, name);
    const found = await lstat(path).catch(() => null);
    if (!found) {
      await mkdir(path, { mode: 0o755 });
      if (owner && process.getuid?.() === 0) await lchown(path, owner.uid, owner.gid);
    } else if (!found.isDirectory()) return;
  }
}

/** Of an engine in another place, or a worker that is in a container itself. */
export function isMissingFolder(error: unknown): boolean {
  return error instanceof ExecutorFault && /bind source path does not exist/.test(error.message);
}

/**
 * Of files of which a container has copies. Those keep their time, but in whole seconds: what was written with the same
 * bytes within that second is taken for the copy, since it cannot be told from it.
 */
export function copiedFrom(place: SourcePlace): Pick<SourcePlace, "originOf"> {
  return {
    async originOf(path, modifiedAt) {
      const sourceIfHash = place.hashOf(path);
      if (sourceIfHash === null) return "command";
      const original = await lstat(join(place.path, path)).catch(() => null);
      const second = (ms: number) => Math.floor(ms / 1_000);
      const isOfThatSecond =
        !original || modifiedAt === undefined || second(original.mtimeMs) === second(modifiedAt);
      return isOfThatSecond ? { sourceIfHash } : "command";
    },
  };
}

export async function copySource(
  container: Docker.Container,
  { folder, path, owner }: SandboxFolder & { readonly owner?: Owner | null },
): Promise<void> {
  const below = path.replace(/^\/+/, "");
  // S: what a link points to stays as it is. Alike files are one in the store, and must not be one in the container.
  const transform = `--transform=s,^\\.,${below.replace(/[\\,&]/g, "\\$&")},S`;
  const owned = owner ? [`--owner=:${owner.uid}`, `--group=:${owner.gid}`] : [];
  const how = ["--numeric-owner", ...owned, "--hard-dereference", transform];
  const tar = spawn("tar", ["-C", folder, ...how, "-cf", "-", "."], {
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
