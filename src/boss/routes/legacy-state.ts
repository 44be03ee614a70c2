// What an older client is told of a run at once: every task with its whole output, as one JSON. It may be far
// larger than what the boss holds for a reader, so it is made in pieces, as the reader takes them.

import { StringDecoder } from "node:string_decoder";
import { describeFault, type TaskEnd } from "../../model/failure.js";
import { findTask, isFinished, type Run, type TaskState } from "../../model/run.js";
import type { Engine } from "../engine.js";
import type { OutputRef } from "../output/outputs.js";

/** Of a longer output its end, with a line that says so. */
const outputLimitBytes = 4 * 2 ** 20;
/** Many tasks that printed little are not a chunk each. */
const pieceChars = 16 * 1024;

/** { run_id, active, stages: [{ name, tasks: [{ name, state, output }] }] } */
export function legacyRun(
  engine: Engine,
  run: Run,
  offsets?: Map<string, number>,
): AsyncGenerator<string> {
  return gathered(runParts(engine, run, offsets));
}

/** { stage, task, passed, output } */
export async function* legacyResult(
  engine: Engine,
  ref: OutputRef,
  end: TaskEnd,
): AsyncGenerator<string> {
  const { stage, task } = ref.attempt;
  yield `${JSON.stringify({ stage, task, passed: end.status === "passed" }).slice(0, -1)},"output":"`;
  yield* outputParts(engine, ref, await lengthOf(engine, ref), end);
  yield '"}';
}

export function lastAttempt(run: Run, stage: string, task: string): OutputRef | undefined {
  const attempt = findTask(run, { stage, task })?.attempts.length ?? 0;
  if (attempt === 0 || !run.pipeline) return undefined;
  return { run: run.id, pipeline: run.pipeline, attempt: { stage, task, attempt } };
}

async function* runParts(
  engine: Engine,
  run: Run,
  offsets?: Map<string, number>,
): AsyncGenerator<string> {
  yield `{"run_id":${run.id},"active":${!isFinished(run)},"stages":[`;
  for (const [at, stage] of run.stages.entries()) {
    yield `${comma(at)}{"name":${JSON.stringify(stage.name)},"tasks":[`;
    for (const [at, task] of stage.tasks.entries()) {
      const named = { name: task.name, state: legacyState(task) };
      yield `${comma(at)}${JSON.stringify(named).slice(0, -1)},"output":"`;
      const ref = lastAttempt(run, stage.name, task.name);
      if (ref) {
        const length = await lengthOf(engine, ref);
        offsets?.set(`${stage.name}\0${task.name}`, length);
        yield* outputParts(engine, ref, length, task.attempts.at(-1)!.end);
      }
      yield '"}';
    }
    yield "]}";
  }
  yield "]}";
}

const comma = (at: number) => (at === 0 ? "" : ",");

/** Text within a JSON string. */
const inside = (text: string) => JSON.stringify(text).slice(1, -1);

async function* outputParts(
  engine: Engine,
  ref: OutputRef,
  length: number,
  end: TaskEnd | null,
): AsyncGenerator<string> {
  const offset = Math.max(0, length - outputLimitBytes);
  if (offset > 0) yield inside(`[${offset} earlier bytes are not shown here]\n`);
  const decoder = new StringDecoder("utf8");
  for await (const chunk of engine.outputs.read(ref, { offset, limit: length - offset }))
    yield inside(decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)));
  yield inside(decoder.end());
  if (end?.status === "errored")
    yield inside(`\n[not a test failure: ${describeFault(end.fault)}]\n`);
  if (end?.status === "cancelled") yield inside("\n[cancelled]\n");
}

async function lengthOf(engine: Engine, ref: OutputRef): Promise<number> {
  return (await engine.outputs.length(ref)) ?? 0;
}

/** It knows four states. */
function legacyState({ status }: TaskState): "Pending" | "Running" | "Pass" | "Fail" {
  switch (status) {
    case "waiting":
    case "queued":
    case "skipped":
      return "Pending";
    case "running":
      return "Running";
    case "passed":
      return "Pass";
    default:
      return "Fail";
  }
}

async function* gathered(parts: AsyncIterable<string>): AsyncGenerator<string> {
  let piece = "";
  for await (const part of parts) {
    piece += part;
    if (piece.length < pieceChars) continue;
    yield piece;
    piece = "";
  }
  if (piece !== "") yield piece;
}
