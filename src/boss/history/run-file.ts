// One run as one file, to take it elsewhere. Gzip of lines of JSON; raw bytes follow a line that says how many:
//
//   {"format":"bettertest-run","version":1,"run":7}
//   {"event":{...}}                                        each event of the run, in order
//   {"file":"output","stage":"s","task":"t","attempt":1,"bytes":123}, then 123 bytes and a line break
//   {"file":"marks", ...}                                  when each byte came; beside the output
//   {"file":"tests", ..., "call":1, "bytes":123}           the list of a command's tests; "artifacts": that of its artifacts
//   {"file":"blob","sha256":"...","bytes":123}             the bytes of artifacts, each content once
//   {"end":{"sha256":"..."}}                               of all before this line
//
// It names no paths, so none in it can lead anywhere.

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable, type Writable } from "node:stream";
import { pipeline as pipe } from "node:stream/promises";
import { createGzip } from "node:zlib";
import type { AttemptRef, RunEvent } from "../../model/events.js";
import { eachTask, isFinished, type Run } from "../../model/run.js";
import { marksPath } from "../output/attempt-output.js";
import type { OutputRef, Outputs } from "../output/outputs.js";
import { artifactsPath, testsPath } from "../run/call-files.js";
import { artifactsOf, blobOf } from "../run/kept-files.js";

export const runFileFormat = "bettertest-run";
export const runFileVersion = 1;

export interface RunSource {
  run(id: number): Run | undefined;
  events(id: number): Iterable<RunEvent>;
  readonly outputs: Pick<Outputs, "path">;
}

/** Resolves when all is written. Rejects with a sentence where the run is not there, or has not ended. */
export async function exportRun(source: RunSource, id: number, to: Writable): Promise<void> {
  const run = source.run(id);
  if (!run) throw new Error(`there is no run ${id}`);
  if (!isFinished(run)) throw new Error(`run ${id} has not ended yet`);
  await pipe(Readable.from(contentOf(source, run)), createGzip(), to);
}

async function* contentOf(source: RunSource, run: Run): AsyncGenerator<Buffer> {
  const hash = createHash("sha256");
  const hashed = (bytes: Buffer) => {
    hash.update(bytes);
    return bytes;
  };
  const line = (value: object) => Buffer.from(`${JSON.stringify(value)}\n`);
  yield hashed(line({ format: runFileFormat, version: runFileVersion, run: run.id }));
  for (const event of source.events(run.id)) yield hashed(line({ event }));
  for await (const { ref, path } of allFilesOf(source, run)) {
    const bytes = await stat(path).then(
      (found) => found.size,
      () => null,
    );
    if (bytes === null) continue;
    yield hashed(line({ ...ref, bytes }));
    let left = bytes;
    // So many, also where a boss is just adding to it.
    for await (const chunk of bytes === 0 ? [] : createReadStream(path, { end: bytes - 1 })) {
      left -= chunk.length;
      yield hashed(chunk);
    }
    if (left > 0) throw new Error(`${path} has become shorter while it was read`);
    yield hashed(Buffer.from("\n"));
  }
  yield line({ end: { sha256: hash.digest("hex") } });
}

export type FileRef =
  | (AttemptRef & { readonly file: "output" | "marks" })
  | (AttemptRef & { readonly file: "tests" | "artifacts"; readonly call: number });

/** What is in a run's folder, but for its blobs. */
export function* filesOf(
  { outputs }: Pick<RunSource, "outputs">,
  run: Run,
): Generator<{ readonly ref: FileRef; readonly path: string }> {
  if (!run.pipeline) return;
  for (const { ref, task } of eachTask(run)) {
    for (let attempt = 1; attempt <= task.attempts.length; attempt++) {
      const attemptRef = { ...ref, attempt };
      const of: OutputRef = { run: run.id, pipeline: run.pipeline, attempt: attemptRef };
      const path = outputs.path(of);
      yield { ref: { file: "output", ...attemptRef }, path };
      yield { ref: { file: "marks", ...attemptRef }, path: marksPath(path) };
      for (const [number, files] of Object.entries(task.attempts[attempt - 1]?.files ?? {})) {
        const call = Number(number);
        if (files.tests)
          yield { ref: { file: "tests", ...attemptRef, call }, path: testsPath(path, call) };
        if (files.artifacts)
          yield {
            ref: { file: "artifacts", ...attemptRef, call },
            path: artifactsPath(path, call),
          };
      }
    }
  }
}

/** The lists come before the blobs that they name. */
async function* allFilesOf(
  source: Pick<RunSource, "outputs">,
  run: Run,
): AsyncGenerator<{ readonly ref: object; readonly path: string }> {
  yield* filesOf(source, run);
  const given = new Set<string>();
  for (const { ref, task } of eachTask(run)) {
    for (let attempt = 1; attempt <= task.attempts.length; attempt++) {
      for await (const artifact of artifactsOf(run, source.outputs, { ...ref, attempt })) {
        const { sha256 } = artifact;
        const path = given.has(sha256) ? null : await blobOf(run, source.outputs, artifact);
        given.add(sha256);
        if (path !== null) yield { ref: { file: "blob", sha256 }, path };
      }
    }
  }
}
