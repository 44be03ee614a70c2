// One run as one file, to take it elsewhere. Gzip of lines of JSON; raw bytes follow a line that says how many:
//
//   {"format":"bettertest-run","version":1,"run":7}
//   {"event":{...}}                                        each event of the run, in order
//   {"file":"output","stage":"s","task":"t","attempt":1,"bytes":123}, then 123 bytes and a line break
//   {"file":"marks", ...}                                  when each byte came; beside the output
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
  for (const { ref, path } of filesOf(source, run)) {
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

export type FileKind = "output" | "marks";

export function* filesOf(
  { outputs }: Pick<RunSource, "outputs">,
  run: Run,
): Generator<{ readonly ref: AttemptRef & { readonly file: FileKind }; readonly path: string }> {
  if (!run.pipeline) return;
  for (const { ref, task } of eachTask(run)) {
    for (let attempt = 1; attempt <= task.attempts.length; attempt++) {
      const attemptRef = { ...ref, attempt };
      const of: OutputRef = { run: run.id, pipeline: run.pipeline, attempt: attemptRef };
      const path = outputs.path(of);
      yield { ref: { file: "output", ...attemptRef }, path };
      yield { ref: { file: "marks", ...attemptRef }, path: marksPath(path) };
    }
  }
}
