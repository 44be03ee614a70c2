// Reads what a command has left in its sandbox: after the command, before the sandbox is removed. What was asked
// for goes into a pack (wire/file-pack.ts) on the worker's disk. Everything about these files is the command's
// doing, so nothing of it is trusted: no path leads out, no link is followed, and sizes and numbers are bounded.

import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, readdir, readlink, realpath } from "node:fs/promises";
import { join, posix, relative, sep } from "node:path";
import { asError } from "../lib/as-error.js";
import { type FilePattern, filePattern } from "../lib/file-pattern.js";
import { readTar } from "../lib/tar.js";
import { formatBytes } from "../lib/units.js";
import { isSafePath, type PackedFile, packedFileLine } from "../wire/file-pack.js";
import type { CollectedFiles, CommandRequest } from "../wire/worker.js";
import { clockStepMs, type FileOrigin, type SourcePlace } from "./sources/places.js";

/** How the files of an ended command are reached, by the folder that it started in. */
export type SandboxFiles =
  /** `since`: when the command was started; others use the folder too, and may have left what is older. */
  | {
      readonly kind: "folder";
      readonly path: string;
      /** Where in it the command has started; links on the way there are the command's doing too. */
      readonly below?: string;
      readonly since?: number;
      /** What the command found in it, or in a folder of it. */
      readonly source?: Pick<SourcePlace, "path" | "originOf">;
    }
  /** A tar of what is at a path relative to that folder ("": all of it), named from its last part on; null: nothing is there. */
  | {
      readonly kind: "archive";
      readonly open: (path: string) => Promise<AsyncIterable<Uint8Array> | null>;
      /** When the sandbox was made, by the clock of its files; what is older came with its image. */
      readonly since?: () => Promise<number | undefined>;
      /** By the path relative to that folder. */
      readonly originOf?: SourcePlace["originOf"];
    };

export interface CollectOptions {
  readonly request: Pick<CommandRequest, "results" | "artifacts">;
  readonly packPath: string;
  /** Of one command. */
  readonly maxArtifactBytes: number;
  readonly signal: AbortSignal;
}

/** Of one command; nobody's tests fill more. */
export const maxResultsBytes = 128 * 2 ** 20;
const mostFiles = { results: 1_000, artifact: 10_000 } as const;
/** Each is asked for by itself. */
const mostHardLinks = mostFiles.results + mostFiles.artifact;
const mostNotes = 20;
const chunkBytes = 256 * 1024;

type Use = PackedFile["uses"][number];

interface FoundFile {
  readonly path: string;
  readonly kind: "file" | "link" | "other";
  readonly bytes: number;
  readonly modifiedAt?: number;
  readonly isExecutable?: boolean;
  /** Absent: no source is known that it could be of. */
  origin?(): Promise<FileOrigin>;
  content(): AsyncIterable<Uint8Array>;
}

export interface Collected {
  readonly files: CollectedFiles;
  /** What there was no room for, or could not be read, as a sentence; null: nothing. */
  readonly lost: Readonly<Record<Use, string | null>>;
}

/** Rejects where the sandbox's files cannot be read; what is in the pack then is of no use. */
export async function collectFiles(
  files: SandboxFiles,
  { request, packPath, maxArtifactBytes, signal }: CollectOptions,
): Promise<Collected> {
  const wanted: [Use, FilePattern[]][] = [
    ["results", (request.results ?? []).map(filePattern)],
    ["artifact", (request.artifacts ?? []).map(filePattern)],
  ];
  const left = { results: maxResultsBytes, artifact: maxArtifactBytes };
  const count = { results: 0, artifact: 0 };
  const notes = new Set<string>();
  const note = (text: string) => void (notes.size < mostNotes && notes.add(text));
  const lost: Record<Use, string | null> = { results: null, artifact: null };
  const lose = (use: Use, text: string) => {
    lost[use] ??= text;
    note(text);
  };
  const matched = new Set<FilePattern>();
  const isWanted = (path: string) =>
    wanted.some(([, patterns]) => patterns.some((pattern) => pattern.matches(path)));
  const refuse = (use: Use, text: string) => (use === "artifact" ? lose(use, text) : note(text));
  const pack = await open(packPath, "w+", 0o600);
  let packBytes = 0;

  /** `staleHash`: with it, it is no results file of the command. */
  async function add(
    file: FoundFile,
    uses: readonly Use[],
    staleHash: string | null,
  ): Promise<void> {
    const line = packedFileLine({
      path: file.path,
      bytes: file.bytes,
      uses: [...uses],
      ...(file.isExecutable && { executable: true }),
    });
    await pack.write(line, 0, line.length, packBytes);
    const from = packBytes + line.length;
    let written = 0;
    const hash = staleHash === null ? null : createHash("sha256");
    for await (const chunk of file.content()) {
      const part = chunk.subarray(0, file.bytes - written);
      if (part.length === 0) break;
      await pack.write(part, 0, part.length, from + written);
      hash?.update(part);
      written += part.length;
      signal.throwIfAborted();
    }
    // It has become shorter: the next one is written over it.
    if (written < file.bytes) {
      for (const use of uses) lose(use, `${file.path} could not be read to its end`);
      return;
    }
    if (hash && hash.digest("hex") === staleHash) {
      note(staleNote(file));
      const others = uses.filter((use) => use !== "results");
      // With a shorter line before it, so that nothing is written over before it is read.
      const content = () => contentOf(pack, { from, bytes: written });
      if (others.length > 0) await add({ ...file, content }, others, null);
      return;
    }
    packBytes = from + written;
    for (const use of uses) {
      left[use] -= file.bytes;
      count[use] += 1;
    }
  }

  try {
    const since = typeof files.since === "function" ? await files.since() : files.since;
    for (const home of homesOf(wanted.flatMap(([, patterns]) => patterns))) {
      for await (const file of filesAt(files, home, isWanted)) {
        signal.throwIfAborted();
        const uses: Use[] = [];
        let staleHash: string | null = null;
        for (const [use, patterns] of wanted) {
          const hits = patterns.filter((pattern) => pattern.matches(file.path));
          if (hits.length === 0) continue;
          for (const pattern of hits) matched.add(pattern);
          const refusal = refusalOf(file, use);
          const tooMuch = tooMuchOf(file, use, { left: left[use], count: count[use] });
          const origin = use === "results" && refusal === null ? await originOf(file, since) : null;
          if (origin !== null && typeof origin === "object") staleHash = origin.sourceIfHash;
          if (refusal !== null) refuse(use, refusal);
          else if (origin === "source") note(staleNote(file));
          else if (tooMuch !== null) lose(use, tooMuch);
          else uses.push(use);
        }
        if (uses.length > 0) await add(file, uses, staleHash);
      }
    }
  } finally {
    await pack.close();
  }
  for (const [use, patterns] of wanted) {
    for (const pattern of patterns) {
      if (!matched.has(pattern)) note(`${optionOf[use]}: there is no file ${pattern.text}`);
    }
  }
  return { files: { bytes: packBytes, notes: [...notes] }, lost };
}

const optionOf = { results: "results", artifact: "artifacts" } as const;

/** Why a file that matches is not taken, as a sentence; null: it is. */
function refusalOf(file: FoundFile, use: Use): string | null {
  const path = shown(file);
  if (file.kind === "link") return `${optionOf[use]}: ${path} is a link, and was left out`;
  if (file.kind === "other") return `${optionOf[use]}: ${path} is no file, and was left out`;
  if (!isSafePath(file.path)) return `${optionOf[use]}: ${path} has a name that cannot be kept`;
  return null;
}

/** What is old by its time is of somebody else; what is not may be of the source, which came just before the command. */
async function originOf(
  { modifiedAt, origin }: FoundFile,
  since: number | undefined,
): Promise<FileOrigin> {
  const isOld = modifiedAt !== undefined && since !== undefined && modifiedAt < since - clockStepMs;
  return isOld ? "source" : ((await origin?.()) ?? "command");
}

function staleNote(file: FoundFile): string {
  return `results: ${shown(file)} is older than the command, and was not read`;
}

function tooMuchOf(
  file: FoundFile,
  use: Use,
  room: { readonly left: number; readonly count: number },
): string | null {
  if (room.count >= mostFiles[use]) {
    return `${optionOf[use]}: more than ${mostFiles[use]} files; the rest was left out`;
  }
  if (file.bytes <= room.left) return null;
  const which = use === "artifact" ? "more than --max-artifacts allows" : "too much";
  return `${optionOf[use]}: ${shown(file)} (${formatBytes(file.bytes)}) was left out: ${which}`;
}

function shown({ path }: FoundFile): string {
  return JSON.stringify(path.slice(0, 200)).slice(1, -1);
}

/** Each place is read once, though several patterns may mean files in it. */
function homesOf(patterns: readonly FilePattern[]): string[] {
  const homes = [...new Set(patterns.map(({ home }) => home))].sort();
  return homes.filter(
    (home) =>
      !homes.some((other) => other !== home && (other === "" || home.startsWith(`${other}/`))),
  );
}

async function* filesAt(
  files: SandboxFiles,
  home: string,
  isWanted: (path: string) => boolean,
): AsyncGenerator<FoundFile> {
  if (files.kind === "folder") {
    const root = await realpath(files.path).catch(() => null);
    if (root === null) return;
    const { below = "", source } = files;
    const sourceRoot = source && (await realpath(source.path).catch(() => null));
    for await (const file of filesInFolder(root, posix.join(below, home).replace(/^\.$/, ""))) {
      const path = below === "" ? file.path : file.path.slice(below.length + 1);
      if (path === "") continue;
      const full = join(root, file.path);
      if (!source || !sourceRoot || !isInside(full, sourceRoot)) yield { ...file, path };
      else {
        const origin = () => source.originOf(relative(sourceRoot, full), file.modifiedAt);
        yield { ...file, path, origin };
      }
    }
    return;
  }
  const hardLinks: string[] = [];
  const linked = (path: string) => {
    if (!isWanted(path)) return null;
    if (hardLinks.length === mostHardLinks) return "other";
    hardLinks.push(path);
    return null;
  };
  yield* filesInArchive(files, home, linked);
  // An engine may give no second archive of a container before the first one is read.
  for (const path of hardLinks) {
    let found = 0;
    for await (const file of filesInArchive(files, path, () => "other")) {
      found += 1;
      yield file;
    }
    if (found === 0) yield { path, kind: "other", bytes: 0, content: nothing };
  }
}

/** `linked`: as what a hard link is told; null: not at all. Its bytes are not with it. */
async function* filesInArchive(
  files: Extract<SandboxFiles, { readonly kind: "archive" }>,
  home: string,
  linked: (path: string) => "other" | null,
): AsyncGenerator<FoundFile> {
  const archive = await files.open(home);
  if (!archive) return;
  for await (const entry of readTar(archive)) {
    if (entry.kind === "folder") continue;
    // Named from the last part of what was asked for.
    const below = entry.path.split("/").filter((part) => part !== "" && part !== ".");
    const path = home === "" ? below.join("/") : posix.join(home, ...below.slice(1));
    const kind = entry.kind === "hard-link" ? linked(path) : entry.kind;
    if (kind === null) continue;
    const { bytes, modifiedAt, isExecutable, content } = entry;
    const { originOf } = files;
    yield {
      ...{ path, kind, bytes, isExecutable, content },
      ...(modifiedAt !== undefined && { modifiedAt }),
      ...(originOf && { origin: () => originOf(path, modifiedAt) }),
    };
  }
}

async function* filesInFolder(root: string, path: string): AsyncGenerator<FoundFile> {
  const full = join(root, path);
  let file: FileHandle;
  try {
    // Not waiting for the other end of a pipe, and not through a link.
    file = await open(full, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = "code" in asError(error) ? (error as NodeJS.ErrnoException).code : "";
    if (code === "ENOENT" || code === "ENOTDIR") return;
    const kind = code === "ELOOP" ? "link" : "other";
    yield { path, kind, bytes: 0, content: nothing };
    return;
  }
  try {
    const found = await file.stat();
    // A folder on the way may be a link.
    if (!isInside(await pathOf(file, full), root)) {
      yield { path, kind: "link", bytes: 0, content: nothing };
      return;
    }
    if (!found.isDirectory()) {
      const kind = found.isFile() ? "file" : "other";
      const modifiedAt = found.mtimeMs;
      const isExecutable = (found.mode & 0o100) !== 0;
      const content = () => contentOf(file);
      yield { path, kind, bytes: found.size, modifiedAt, isExecutable, content };
      return;
    }
  } finally {
    await file.close();
  }
  const entries = await readdir(full, { withFileTypes: true }).catch(() => null);
  if (!entries) {
    yield { path, kind: "other", bytes: 0, content: nothing };
    return;
  }
  for (const { name } of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    yield* filesInFolder(root, path === "" ? name : `${path}/${name}`);
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

async function* contentOf(
  file: FileHandle,
  { from, bytes } = { from: 0, bytes: Number.POSITIVE_INFINITY },
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes; ) {
    const most = Math.min(chunkBytes, bytes - at);
    const { bytesRead, buffer } = await file.read(Buffer.alloc(most), 0, most, from + at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Of what is open, not of what is at that name by now, where the system can tell. */
function pathOf(file: FileHandle, path: string): Promise<string> {
  return readlink(`/proc/self/fd/${file.fd}`).catch(() => realpath(path));
}

function isInside(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : `${root}${sep}`);
}
