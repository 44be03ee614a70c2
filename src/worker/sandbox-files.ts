// Reads what a command has left in its sandbox: after the command, before the sandbox is removed. What was asked
// for goes into a pack (wire/file-pack.ts) on the worker's disk. Everything about these files is the command's
// doing, so nothing of it is trusted: no path leads out, no link is followed, and sizes and numbers are bounded.

import { constants } from "node:fs";
import { type FileHandle, open, readdir, readlink, realpath } from "node:fs/promises";
import { join, posix, sep } from "node:path";
import { asError } from "../lib/as-error.js";
import { type FilePattern, filePattern } from "../lib/file-pattern.js";
import { readTar } from "../lib/tar.js";
import { formatBytes } from "../lib/units.js";
import { isSafePath, type PackedFile, packedFileLine } from "../wire/file-pack.js";
import type { CollectedFiles, CommandRequest } from "../wire/worker.js";

/** How the files of an ended command are reached, by the folder that it started in. */
export type SandboxFiles =
  /** `since`: when the command was started; others use the folder too, and may have left what is older. */
  | {
      readonly kind: "folder";
      readonly path: string;
      /** Where in it the command has started; links on the way there are the command's doing too. */
      readonly below?: string;
      readonly since?: number;
    }
  /** A tar of what is at a path relative to that folder ("": all of it), named from its last part on; null: nothing is there. */
  | {
      readonly kind: "archive";
      readonly open: (path: string) => Promise<AsyncIterable<Uint8Array> | null>;
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
const mostNotes = 20;
/** Clocks of files go in steps. */
const clockStepMs = 1_000;
const chunkBytes = 256 * 1024;

type Use = PackedFile["uses"][number];

interface FoundFile {
  readonly path: string;
  readonly kind: "file" | "link" | "other";
  readonly bytes: number;
  readonly modifiedAt?: number;
  readonly isExecutable?: boolean;
  content(): AsyncIterable<Uint8Array>;
}

export interface Collected {
  readonly files: CollectedFiles;
  /** What there was no room for, or could not be read, as a sentence; null: nothing. */
  readonly lost: string | null;
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
  let lost: string | null = null;
  const lose = (text: string) => {
    lost ??= text;
    note(text);
  };
  const matched = new Set<FilePattern>();
  const pack = await open(packPath, "w", 0o600);
  let packBytes = 0;

  async function add(file: FoundFile, uses: readonly Use[]): Promise<void> {
    const line = packedFileLine({
      path: file.path,
      bytes: file.bytes,
      uses: [...uses],
      ...(file.isExecutable && { executable: true }),
    });
    await pack.write(line, 0, line.length, packBytes);
    const from = packBytes + line.length;
    let written = 0;
    for await (const chunk of file.content()) {
      const part = chunk.subarray(0, file.bytes - written);
      if (part.length === 0) break;
      await pack.write(part, 0, part.length, from + written);
      written += part.length;
      signal.throwIfAborted();
    }
    // It has become shorter: the next one is written over it.
    if (written < file.bytes) return lose(`${file.path} could not be read to its end`);
    packBytes = from + written;
    for (const use of uses) {
      left[use] -= file.bytes;
      count[use] += 1;
    }
  }

  try {
    for (const home of homesOf(wanted.flatMap(([, patterns]) => patterns))) {
      for await (const file of filesAt(files, home)) {
        signal.throwIfAborted();
        const uses: Use[] = [];
        for (const [use, patterns] of wanted) {
          const hits = patterns.filter((pattern) => pattern.matches(file.path));
          if (hits.length === 0) continue;
          for (const pattern of hits) matched.add(pattern);
          const refusal = refusalOf(file, use, files);
          const tooMuch = tooMuchOf(file, use, { left: left[use], count: count[use] });
          if (refusal !== null) note(refusal);
          else if (tooMuch !== null) lose(tooMuch);
          else uses.push(use);
        }
        if (uses.length > 0) await add(file, uses);
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
function refusalOf(file: FoundFile, use: Use, files: SandboxFiles): string | null {
  const path = shown(file);
  if (file.kind === "link") return `${optionOf[use]}: ${path} is a link, and was left out`;
  if (file.kind === "other") return `${optionOf[use]}: ${path} is no file, and was left out`;
  if (!isSafePath(file.path)) return `${optionOf[use]}: ${path} has a name that cannot be kept`;
  const since = files.kind === "folder" ? files.since : undefined;
  if (
    use === "results" &&
    since !== undefined &&
    (file.modifiedAt ?? since) < since - clockStepMs
  ) {
    return `results: ${path} is older than the command, and was not read`;
  }
  return null;
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

async function* filesAt(files: SandboxFiles, home: string): AsyncGenerator<FoundFile> {
  if (files.kind === "folder") {
    const root = await realpath(files.path).catch(() => null);
    if (root === null) return;
    const { below = "" } = files;
    for await (const file of filesInFolder(root, posix.join(below, home).replace(/^\.$/, ""))) {
      const path = below === "" ? file.path : file.path.slice(below.length + 1);
      if (path !== "") yield { ...file, path };
    }
    return;
  }
  const archive = await files.open(home);
  if (!archive) return;
  for await (const entry of readTar(archive)) {
    if (entry.kind === "folder") continue;
    // Named from the last part of what was asked for.
    const below = entry.path.split("/").filter((part) => part !== "" && part !== ".");
    const path = home === "" ? below.join("/") : posix.join(home, ...below.slice(1));
    const { kind, bytes, isExecutable, content } = entry;
    yield { path, kind, bytes, isExecutable, content };
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

async function* contentOf(file: FileHandle): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(chunkBytes), 0, chunkBytes);
    if (bytesRead === 0) return;
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
