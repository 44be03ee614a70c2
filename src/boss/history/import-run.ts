// Takes in a run from a file: see run-file.ts. All of the file is read, checked and laid aside first; only then
// does the run get a number, and is there.

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import * as z from "zod";
import { formatBytes } from "../../lib/units.js";
import type { RunEvent } from "../../model/events.js";
import { GrowingRun } from "../../model/growing-run.js";
import { isFinished, newRun } from "../../model/run.js";
import { isSafePath } from "../../wire/file-pack.js";
import { parseRunEvent, TestInEvent } from "../../wire/run-event.js";
import type { Outputs } from "../output/outputs.js";
import { filesFolder, importPrefix } from "./data-paths.js";
import { type FileRef, filesOf, runFileFormat, runFileVersion } from "./run-file.js";

/** The file cannot be used; why. */
export class BadRunFile extends Error {}

export interface ImportTarget {
  readonly outputs: Pick<Outputs, "path" | "folder">;
  nextRunId(): number;
  /** All events or none. */
  add(id: number, events: readonly RunEvent[]): void;
  /** Of one file, unpacked. */
  readonly maxBytes: number;
}

const maxLineBytes = 32 * 2 ** 20;
const maxEventBytes = 512 * 2 ** 20;

const Header = z.looseObject({
  format: z.literal(runFileFormat),
  version: z.number(),
  run: z.number().int().positive(),
});
const bytes = z.number().int().nonnegative();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const ofAttempt = {
  stage: z.string(),
  task: z.string(),
  attempt: z.number().int().positive(),
  bytes,
};
const FileLine = z.discriminatedUnion("file", [
  z.looseObject({ file: z.enum(["output", "marks"]), ...ofAttempt }),
  z.looseObject({ file: z.enum(["tests", "artifacts"]), ...ofAttempt, call: z.number().int() }),
  z.looseObject({ file: z.literal("blob"), sha256, bytes }),
]);
type FileLine = z.infer<typeof FileLine>;

/** What the lists hold is shown, and names files where artifacts are taken out. */
const ListedArtifact = z.looseObject({
  path: z.string().refine(isSafePath),
  bytes,
  sha256,
  executable: z.literal(true).optional(),
});
const ListedTest = TestInEvent.extend({ details: z.string().optional() });
const EndLine = z.looseObject({ end: z.looseObject({ sha256: z.string() }) });

/** The run's new number. */
export async function importRun(
  target: ImportTarget,
  from: AsyncIterable<Uint8Array>,
): Promise<number> {
  await mkdir(target.outputs.folder, { recursive: true, mode: 0o700 });
  let folder = await mkdtemp(join(target.outputs.folder, importPrefix));
  try {
    const { was, events } = await unpack(target, from, folder);
    const id = target.nextRunId();
    const home = join(target.outputs.folder, String(id));
    await rename(folder, home);
    folder = home;
    const [first, ...rest] = events;
    const trigger = `import of ${was} (${first.trigger})`;
    target.add(id, [{ ...first, trigger }, ...rest]);
    return id;
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

type Created = RunEvent & { readonly type: "run-created" };

async function unpack(target: ImportTarget, from: AsyncIterable<Uint8Array>, folder: string) {
  const reader = new FileReader(from, target.maxBytes);
  const header = Header.safeParse(await reader.line());
  if (!header.success) throw new BadRunFile("it is no run of bettertest");
  const { run: was, version } = header.data;
  if (version !== runFileVersion) {
    throw new BadRunFile(`it is of version ${version}, this bettertest knows ${runFileVersion}`);
  }
  const events: RunEvent[] = [];
  let growing: GrowingRun | undefined;
  let eventBytes = 0;
  let value = await reader.line();
  for (; isRecord(value) && "event" in value; value = await reader.line()) {
    const event = parseRunEvent(value.event);
    if (!event) throw new BadRunFile(`its event ${events.length + 1} is none that is known`);
    if ((event.type === "run-created") !== (events.length === 0)) {
      throw new BadRunFile("its first event, and only that, must be run-created");
    }
    eventBytes += reader.lineBytes;
    if (eventBytes > maxEventBytes) throw new BadRunFile("it has too many events");
    events.push(event);
    if (event.type === "run-created") growing = new GrowingRun(newRun(was, event));
    else growing!.apply(event);
  }
  const run = growing?.now();
  if (!run || !isFinished(run)) throw new BadRunFile("the run in it has not ended");
  const paths = new Map(
    [...filesOf(target, run)].map(({ ref, path }) => [fileKey(ref), basename(path)]),
  );
  for (; ; value = await reader.line()) {
    const file = FileLine.safeParse(value);
    if (!file.success) break;
    // Each once; and only such as the run has.
    const key = fileKey(file.data);
    const name = paths.get(key);
    if (name === undefined) throw new BadRunFile("it holds a file that no attempt of its run has");
    paths.delete(key);
    const path = join(folder, name);
    if (file.data.file === "blob") await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await reader.copy(file.data.bytes, path);
    if (file.data.file === "tests") await checkList(path, ListedTest);
    if (file.data.file === "artifacts") {
      for (const { sha256: hash } of await checkList(path, ListedArtifact)) {
        paths.set(fileKey({ file: "blob", sha256: hash }), join(filesFolder, hash));
      }
    }
    if (file.data.file === "blob" && (await hashOfFile(path)) !== file.data.sha256) {
      throw new BadRunFile("it holds an artifact that is not what its name says");
    }
  }
  const digest = reader.digestBeforeLine;
  const end = EndLine.safeParse(value);
  if (!end.success) throw new BadRunFile("it ends in the middle, or holds what is not known");
  if (end.data.end.sha256 !== digest) throw new BadRunFile("its checksum is wrong: it was changed");
  await reader.end();
  const [first, ...rest] = events;
  return { was, events: [first as Created, ...rest] as const };
}

function fileKey(ref: FileRef | Pick<FileLine & { file: "blob" }, "file" | "sha256">): string {
  if (ref.file === "blob") return JSON.stringify([ref.file, ref.sha256]);
  const call = "call" in ref ? ref.call : null;
  return JSON.stringify([ref.file, ref.stage, ref.task, ref.attempt, call]);
}

/** Its lines, of which all must be what they should. */
async function checkList<T>(path: string, form: z.ZodType<T>): Promise<T[]> {
  const lines: T[] = [];
  const input = createReadStream(path);
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    const value = form.safeParse(jsonIn(line));
    if (!value.success) throw new BadRunFile("a list in it holds what is not known");
    lines.push(value.data);
  }
  return lines;
}

function jsonIn(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

async function hashOfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest("hex");
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/** Lines and raw bytes of an unpacked stream, with a bound on each and on all. */
class FileReader {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #hash = createHash("sha256");
  readonly #maxBytes: number;
  #buffer: Buffer = Buffer.alloc(0);
  #bytes = 0;
  lineBytes = 0;
  digestBeforeLine = "";

  constructor(from: AsyncIterable<Uint8Array>, maxBytes: number) {
    this.#maxBytes = maxBytes;
    const source = Readable.from(from);
    const gunzip = createGunzip({ chunkSize: 256 * 1024 });
    source.on("error", (error) => gunzip.destroy(error));
    gunzip.on("close", () => source.destroy());
    this.#chunks = source.pipe(gunzip)[Symbol.asyncIterator]();
  }

  async #more(): Promise<boolean> {
    let next: IteratorResult<Buffer>;
    try {
      next = await this.#chunks.next();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new BadRunFile(`it cannot be unpacked: ${why}`);
    }
    if (next.done) return false;
    this.#bytes += next.value.length;
    if (this.#bytes > this.#maxBytes) {
      await this.#chunks.return?.();
      throw new BadRunFile(`it holds more than ${formatBytes(this.#maxBytes)}`);
    }
    this.#buffer =
      this.#buffer.length === 0 ? next.value : Buffer.concat([this.#buffer, next.value]);
    return true;
  }

  async line(): Promise<unknown> {
    let end = -1;
    for (let from = 0; ; ) {
      end = this.#buffer.indexOf(0x0a, from);
      if (end >= 0) break;
      from = this.#buffer.length;
      if (from > maxLineBytes) throw new BadRunFile("a line in it is too long");
      if (!(await this.#more())) throw new BadRunFile("it ends in the middle");
    }
    this.digestBeforeLine = this.#hash.copy().digest("hex");
    const bytes = this.#take(end + 1);
    this.lineBytes = bytes.length;
    try {
      return JSON.parse(bytes.toString());
    } catch {
      throw new BadRunFile("a line in it is no JSON");
    }
  }

  async copy(bytes: number, path: string): Promise<void> {
    const file = await open(path, "wx", 0o600);
    try {
      for (let left = bytes; left > 0; ) {
        if (this.#buffer.length === 0 && !(await this.#more())) {
          throw new BadRunFile("it ends in the middle");
        }
        const part = this.#take(Math.min(left, this.#buffer.length));
        await file.writeFile(part);
        left -= part.length;
      }
    } finally {
      await file.close();
    }
    if (this.#buffer.length === 0) await this.#more();
    if (this.#take(1).toString() !== "\n") throw new BadRunFile("a file in it has another length");
  }

  /** Nothing may follow. */
  async end(): Promise<void> {
    if (this.#buffer.length > 0 || (await this.#more())) {
      throw new BadRunFile("something stands behind its end");
    }
  }

  #take(bytes: number): Buffer {
    const part = this.#buffer.subarray(0, bytes);
    this.#buffer = this.#buffer.subarray(bytes);
    this.#hash.update(part);
    return part;
  }
}
