// What a command has left, as it comes from the worker: results files are read, artifacts are kept. Beside the
// attempt's output lie a list of its tests and one of its artifacts, for each call; the artifacts' bytes lie in the
// run's folder "files", each under the hash of what is in it, so that equal ones are there once.
//
// All of it can be had again from the worker until the call's end is stored, so whatever a killed boss has left half
// done is done anew. That the boss's disk refuses something changes no verdict; it is said.

import { createHash, type Hash } from "node:crypto";
import { once } from "node:events";
import { createWriteStream, type WriteStream } from "node:fs";
import { type FileHandle, mkdir, mkdtemp, open, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { asError } from "../../lib/as-error.js";
import { formatBytes } from "../../lib/units.js";
import type {
  FilesSummary,
  TestCase,
  TestFramework,
  TestsSummary,
} from "../../model/test-results.js";
import { isSafePath, type PackedFile, PackReader } from "../../wire/file-pack.js";
import type { CollectedFiles, Outcome } from "../../wire/worker.js";
import { filesFolder } from "../history/data-paths.js";
import { bounded, cutMark } from "../results/report.js";
import { ResultsFile } from "../results/results-file.js";
import type { Secrets } from "../secrets/secrets.js";

export interface CallFilesOptions {
  /** Of the attempt's output. */
  readonly outputPath: string;
  readonly call: number;
  readonly secrets: Pick<Secrets, "maskText" | "reach">;
  readonly maxArtifactBytes: number;
}

/** In the event; all of them are in the list. */
const mostFailures = 50;
const failureChars = { name: 300, message: 500 } as const;
const mostTests = 200_000;
const mostArtifacts = 10_000;
const mostNotes = 20;

/** A line of JSON each. */
export function testsPath(outputPath: string, call: number): string {
  return `${outputPath}.${call}.tests`;
}

export function artifactsPath(outputPath: string, call: number): string {
  return `${outputPath}.${call}.artifacts`;
}

/** Of one run. */
export function blobFolder(outputPath: string): string {
  return join(dirname(outputPath), filesFolder);
}

export class CallFiles {
  readonly #options: CallFilesOptions;
  #pack: CollectedPack | null = null;

  constructor(options: CallFilesOptions) {
    this.#options = options;
  }

  /** The pack's bytes. */
  readonly take = (chunk: Uint8Array): Promise<void> => {
    this.#pack ??= new CollectedPack(this.#options);
    return this.#pack.take(chunk);
  };

  /** When all has been taken; null: nothing was asked for. */
  finish(collected: CollectedFiles | null): Promise<FilesSummary | null> | null {
    if (collected) return (this.#pack ?? new CollectedPack(this.#options)).finish(collected);
    return this.#pack ? this.#pack.close().then(() => null) : null;
  }

  /** After finish: the outcome of a build with the name of its files. */
  named(outcome: Outcome): Outcome {
    return this.#pack?.named(outcome) ?? outcome;
  }
}

/** Of a call that was asked for files; most are not. */
class CollectedPack {
  readonly #options: CallFilesOptions;
  readonly #tests: TestTally;
  readonly #artifacts: ArtifactStore;
  readonly #notes: string[] = [];
  readonly #pack = new PackReader({
    begin: (file) => this.#begin(file),
    bytes: (chunk) => this.#bytes(chunk),
    end: () => this.#end(),
  });
  #current: { readonly file: PackedFile; readonly results: ResultsFile | null } | null = null;
  #came = false;

  constructor(options: CallFilesOptions) {
    this.#options = options;
    this.#tests = new TestTally(options);
    this.#artifacts = new ArtifactStore(options, (text) => this.#note(text));
  }

  take(chunk: Uint8Array): Promise<void> {
    this.#came = true;
    return this.#pack.push(chunk);
  }

  async finish(collected: CollectedFiles): Promise<FilesSummary> {
    if (this.#came) this.#pack.end();
    for (const text of collected.notes) this.#note(text);
    const tests = await this.#tests.finish().catch((error: unknown) => {
      this.#note(`the list of tests could not be kept: ${asError(error).message}`);
      return this.#tests.summary;
    });
    const artifacts = await this.#artifacts.finish();
    const { secrets } = this.#options;
    return {
      ...(tests && { tests }),
      ...(artifacts && { artifacts }),
      notes: this.#notes.map((text) => bounded(secrets.maskText(text), 500)),
    };
  }

  async close(): Promise<void> {
    await this.#artifacts.close();
    await this.#tests.close();
  }

  /** They are the value of a build, so all of them must be here. */
  named(outcome: Outcome): Outcome {
    if (outcome.kind !== "exited" || outcome.build?.kind !== "files") return outcome;
    const { name, lost } = this.#artifacts;
    if (lost !== null)
      return { kind: "faulted", message: `what was built could not be kept whole: ${lost}` };
    return name === null ? outcome : { ...outcome, build: { ...outcome.build, files: name } };
  }

  async #begin(file: PackedFile): Promise<void> {
    const isKept = isSafePath(file.path);
    if (!isKept) this.#note("a file has a name that cannot be kept");
    const results = isKept && file.uses.includes("results") ? this.#tests.file() : null;
    this.#current = { file, results };
    if (isKept && file.uses.includes("artifact")) await this.#artifacts.begin(file);
  }

  async #bytes(chunk: Uint8Array): Promise<void> {
    this.#current?.results?.push(chunk);
    await this.#artifacts.bytes(chunk);
    await this.#tests.flush();
  }

  async #end(): Promise<void> {
    const problem = this.#current?.results?.end() ?? null;
    if (problem !== null) this.#note(`results: ${this.#current!.file.path}: ${problem}`);
    this.#current = null;
    await this.#artifacts.end();
    await this.#tests.flush();
  }

  #note(text: string): void {
    if (this.#notes.length < mostNotes && !this.#notes.includes(text)) this.#notes.push(text);
  }
}

/** Counts tests, and writes the list of them. */
class TestTally {
  readonly #path: string;
  readonly #secrets: Pick<Secrets, "maskText" | "reach">;
  #isAsked = false;
  readonly #counts = { passed: 0, failed: 0, skipped: 0 };
  readonly #failures: TestCase[] = [];
  #framework: TestFramework | undefined;
  #lines: string[] = [];
  #stream: WriteStream | null = null;
  #trouble: Error | null = null;

  constructor({ outputPath, call, secrets }: CallFilesOptions) {
    this.#path = testsPath(outputPath, call);
    this.#secrets = secrets;
  }

  file(): ResultsFile {
    this.#isAsked = true;
    return new ResultsFile({
      test: (test) => this.#add(test),
      framework: (framework) => {
        this.#framework = framework;
      },
    });
  }

  get summary(): TestsSummary | null {
    if (!this.#isAsked) return null;
    return {
      ...this.#counts,
      failures: this.#failures,
      ...(this.#framework && { framework: this.#framework }),
    };
  }

  #add(given: TestCase): void {
    const test = this.#masked(given);
    const { passed, failed, skipped } = this.#counts;
    if (passed + failed + skipped < mostTests) this.#lines.push(`${JSON.stringify(test)}\n`);
    this.#counts[test.verdict] += 1;
    if (test.verdict !== "failed" || this.#failures.length >= mostFailures) return;
    const { details: _, ...rest } = test;
    this.#failures.push({
      ...rest,
      suite: bounded(test.suite, failureChars.name),
      name: bounded(test.name, failureChars.name),
      ...(test.message !== undefined && { message: bounded(test.message, failureChars.message) }),
    });
  }

  #masked(test: TestCase): TestCase {
    const mask = (text: string) => maskedWhole(text, this.#secrets);
    const { file, message, details } = test;
    return {
      ...test,
      suite: mask(test.suite),
      name: mask(test.name),
      ...(file !== undefined && { file: mask(file) }),
      ...(message !== undefined && { message: mask(message) }),
      ...(details !== undefined && { details: mask(details) }),
    };
  }

  async flush(): Promise<void> {
    if (this.#lines.length === 0) return;
    const text = this.#lines.join("");
    this.#lines = [];
    if (this.#trouble) return;
    if (!this.#stream) {
      this.#stream = createWriteStream(this.#path, { mode: 0o600 });
      this.#stream.on("error", (error) => {
        this.#trouble ??= error;
      });
    }
    if (!this.#stream.write(text)) {
      await once(this.#stream, "drain").catch(() => {});
    }
  }

  async finish(): Promise<TestsSummary | null> {
    await this.flush();
    await this.close();
    if (this.#trouble) throw this.#trouble;
    return this.summary;
  }

  async close(): Promise<void> {
    const stream = this.#stream;
    if (!stream || stream.closed) return;
    const closed = once(stream, "close").catch(() => {});
    stream.end();
    await closed;
  }
}

/** Lays files under their hashes, and writes the list of them. */
class ArtifactStore {
  readonly #options: CallFilesOptions;
  readonly #note: (text: string) => void;
  readonly #list: string[] = [];
  #bytesKept = 0;
  #bytesLeft: number;
  #open: {
    readonly file: PackedFile;
    readonly handle: FileHandle;
    readonly path: string;
    readonly hash: Hash;
  } | null = null;
  #folder: string | null = null;
  /** Why not all that came is kept, as a sentence; null: it is. */
  lost: string | null = null;
  /** Of all that is kept: names and contents. Null: nothing is. */
  name: string | null = null;

  constructor(options: CallFilesOptions, note: (text: string) => void) {
    this.#options = options;
    this.#note = (text) => {
      this.lost ??= text;
      note(text);
    };
    this.#bytesLeft = options.maxArtifactBytes;
  }

  async begin(file: PackedFile): Promise<void> {
    if (this.#list.length >= mostArtifacts || file.bytes > this.#bytesLeft) {
      const size = formatBytes(file.bytes);
      this.#note(
        `artifacts: ${file.path} (${size}) was left out: more than --max-artifacts allows`,
      );
      return;
    }
    await this.#trying(file, async () => {
      const blobs = blobFolder(this.#options.outputPath);
      await mkdir(blobs, { recursive: true, mode: 0o700 });
      this.#folder ??= await mkdtemp(join(blobs, "new-"));
      const path = join(this.#folder, "file");
      const handle = await open(path, "w", 0o600);
      this.#open = { file, handle, path, hash: createHash("sha256") };
    });
  }

  async bytes(chunk: Uint8Array): Promise<void> {
    const current = this.#open;
    if (!current) return;
    await this.#trying(current.file, async () => {
      current.hash.update(chunk);
      await current.handle.writeFile(chunk);
    });
  }

  async end(): Promise<void> {
    const current = this.#open;
    if (!current) return;
    await this.#trying(current.file, async () => {
      await current.handle.close();
      this.#open = null;
      const sha256 = current.hash.digest("hex");
      await rename(current.path, join(blobFolder(this.#options.outputPath), sha256));
      const { bytes, executable } = current.file;
      const path = this.#options.secrets.maskText(current.file.path);
      this.#list.push(
        `${JSON.stringify({ path, bytes, sha256, ...(executable && { executable }) })}\n`,
      );
      this.#bytesKept += bytes;
      this.#bytesLeft -= bytes;
    });
  }

  async finish(): Promise<FilesSummary["artifacts"] | null> {
    await this.close();
    if (this.#list.length === 0) return null;
    const { outputPath, call } = this.#options;
    try {
      await writeFile(artifactsPath(outputPath, call), this.#list.join(""), { mode: 0o600 });
    } catch (error) {
      this.#note(`the list of artifacts could not be kept: ${asError(error).message}`);
      return null;
    }
    this.name = createHash("sha256")
      .update([...this.#list].sort().join(""))
      .digest("hex");
    return { files: this.#list.length, bytes: this.#bytesKept };
  }

  async close(): Promise<void> {
    await this.#open?.handle.close().catch(() => {});
    this.#open = null;
    if (this.#folder) await rm(this.#folder, { recursive: true, force: true }).catch(() => {});
  }

  async #trying(file: PackedFile, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#note(`artifacts: ${file.path} could not be kept: ${asError(error).message}`);
      await this.#open?.handle.close().catch(() => {});
      this.#open = null;
    }
  }
}

/** Where a text was cut before, the last that is left of it may be the beginning of a secret. */
function maskedWhole(text: string, secrets: Pick<Secrets, "maskText" | "reach">): string {
  const { reach } = secrets;
  if (reach === 0 || !text.endsWith(cutMark)) return secrets.maskText(text);
  const masked = secrets.maskText(text.slice(0, -cutMark.length));
  return masked.slice(0, Math.max(0, masked.length - reach)) + cutMark;
}
