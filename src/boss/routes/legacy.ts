// The API of the boss this one follows: older dashboards and scripts read it.
//
//   GET  /api/state               { pipeline: { stages: [{ name, tasks: [name] }] }, run: null | LegacyRun }
//   POST /api/run                 { run_id }
//   GET  /api/run/{id}/events     SSE: state (a LegacyRun), then stage_started, task_output, task_result, run_done
//
// It knows four task states. A task that errored or was cancelled reads "Fail" there, since such a client
// must not wait for it for ever; its output ends with a line that says it was not the test.

import { type Context, Hono } from "hono";
import type { Audit } from "../../access/audit.js";
import { byWhom, callerOf } from "../../access/caller.js";
import type { SseMessage } from "../../lib/sse.js";
import type { LoggedEvent } from "../../model/events.js";
import { describeFault, type TaskEnd } from "../../model/failure.js";
import type { TaskRef } from "../../model/pipeline.js";
import { findTask, isFinished, type Run, type TaskState } from "../../model/run.js";
import type { Engine } from "../engine.js";
import { mergeInto } from "../merge.js";
import { LineSplitter } from "../output/lines.js";
import type { OutputRef } from "../output/outputs.js";
import { streamSse } from "../stream.js";
import { theRun } from "./runs.js";

/** Older clients get whole outputs as one string; beyond this its end, with a line that says so. */
const outputLimitBytes = 4 * 2 ** 20;

interface LegacyRun {
  readonly run_id: number;
  readonly active: boolean;
  readonly stages: readonly {
    readonly name: string;
    readonly tasks: readonly {
      readonly name: string;
      readonly state: "Pending" | "Running" | "Pass" | "Fail";
      readonly output: string;
    }[];
  }[];
}

export function legacyRoutes(engine: Engine, audit: Audit): Hono {
  const app = new Hono();

  app.get("/state", async (c) => {
    // Such a client asks once, at its start: it must not take a boss that still loads for one without stages.
    await engine.pipelines.ready;
    const view = engine.pipelines.views()[0];
    const stages = view?.pipeline?.stages ?? [];
    const last = view && engine.store.runs({ limit: 1, pipeline: view.name })[0];
    const run = last && engine.store.run(last.id);
    return c.json({
      pipeline: {
        stages: stages.map(({ name, tasks }) => ({ name, tasks: tasks.map((task) => task.name) })),
      },
      run: run ? await legacyRun(engine, run) : null,
    });
  });

  app.post("/run", (c) => {
    const pipeline = engine.pipelines.views()[0]?.name;
    const caller = callerOf(c.req.raw);
    const started = engine.start({
      ...(pipeline !== undefined && { pipeline }),
      trigger: `api${byWhom(caller)}`,
    });
    if (started.ok) audit.write("run-started", caller, { run: started.run });
    return started.ok
      ? c.json({ run_id: started.run })
      : c.json({ error: started.error }, started.status);
  });

  app.get("/run/:id/events", (c: Context) => {
    const { id } = theRun(engine, c);
    return streamSse(engine.streams, (signal) => legacyEvents(engine, id, signal));
  });

  return app;
}

async function* legacyEvents(
  engine: Engine,
  id: number,
  signal: AbortSignal,
): AsyncGenerator<SseMessage> {
  // A client that connects right after POST /api/run must find the stages in its first message.
  let after = 0;
  for await (const { seq, event } of engine.log.follow({ run: id, after: 0, signal })) {
    after = seq;
    if (event.type === "run-loaded" || event.type === "run-finished") break;
  }
  after = Math.max(after, engine.store.lastSeq());
  const run = engine.store.run(id)!;
  // The state holds the output up to here; the lines that follow go on from there.
  const offsets = new Map<string, number>();
  yield message("state", await legacyRun(engine, run, offsets));
  if (isFinished(run)) return yield message("run_done", {});

  yield* mergeInto<SseMessage>(signal, async (emit, scope) => {
    const followers = new Map<string, Promise<void>>();
    const follow = ({ stage, task }: TaskRef, attempt?: number) => {
      const last = lastAttempt(engine.store.run(id)!, stage, task);
      if (!last) return;
      const ref = attempt === undefined ? last : { ...last, attempt: { stage, task, attempt } };
      const key = `${stage}\0${task}`;
      followers.set(key, followLines(engine, ref, offsets.get(key) ?? 0, scope, emit));
      // A later attempt begins at its beginning.
      offsets.delete(key);
    };
    for (const stage of run.stages) {
      for (const task of stage.tasks) {
        if (task.status === "running") follow({ stage: stage.name, task: task.name });
      }
    }
    for await (const { event } of engine.log.follow({ run: id, after, signal: scope })) {
      if (event.type === "stage-started")
        await emit(message("stage_started", { stage: event.stage }));
      if (event.type === "attempt-started") follow(event, event.attempt);
      if (event.type === "attempt-finished") {
        await followers.get(`${event.stage}\0${event.task}`);
        followers.delete(`${event.stage}\0${event.task}`);
        if (!event.retried) await emit(await taskResult(engine, id, event));
      }
      if (event.type === "run-finished") await emit(message("run_done", {}));
    }
  });
}

async function followLines(
  engine: Engine,
  ref: OutputRef,
  offset: number,
  signal: AbortSignal,
  emit: (message: SseMessage) => Promise<void>,
): Promise<void> {
  const { stage, task } = ref.attempt;
  const splitter = new LineSplitter();
  for await (const chunk of engine.outputs.follow(ref, { offset, signal })) {
    for (const line of splitter.push(chunk))
      await emit(message("task_output", { stage, task, line }));
  }
  for (const line of splitter.end()) await emit(message("task_output", { stage, task, line }));
}

async function taskResult(
  engine: Engine,
  id: number,
  event: LoggedEvent["event"] & { type: "attempt-finished" },
): Promise<SseMessage> {
  const { stage, task, end } = event;
  const ref = lastAttempt(engine.store.run(id)!, stage, task)!;
  const length = (await engine.outputs.length(ref)) ?? 0;
  const output = await legacyOutput(engine, ref, length, end);
  return message("task_result", { stage, task, passed: end.status === "passed", output });
}

async function legacyRun(
  engine: Engine,
  run: Run,
  offsets?: Map<string, number>,
): Promise<LegacyRun> {
  const stages = [];
  for (const stage of run.stages) {
    const tasks = [];
    for (const task of stage.tasks) {
      const ref = lastAttempt(run, stage.name, task.name);
      const length = (ref && (await engine.outputs.length(ref))) ?? 0;
      offsets?.set(`${stage.name}\0${task.name}`, length);
      const output = ref ? await legacyOutput(engine, ref, length, task.attempts.at(-1)!.end) : "";
      tasks.push({ name: task.name, state: legacyState(task), output });
    }
    stages.push({ name: stage.name, tasks });
  }
  return { run_id: run.id, active: !isFinished(run), stages };
}

function legacyState(task: TaskState): LegacyRun["stages"][number]["tasks"][number]["state"] {
  switch (task.status) {
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

async function legacyOutput(
  engine: Engine,
  ref: OutputRef,
  length: number,
  end: TaskEnd | null,
): Promise<string> {
  const offset = Math.max(0, length - outputLimitBytes);
  const chunks: Uint8Array[] = [];
  for await (const chunk of engine.outputs.read(ref, { offset, limit: length - offset }))
    chunks.push(chunk);
  const cut = offset > 0 ? `[${offset} earlier bytes are not shown here]\n` : "";
  const note =
    end?.status === "errored"
      ? `\n[not a test failure: ${describeFault(end.fault)}]\n`
      : end?.status === "cancelled"
        ? "\n[cancelled]\n"
        : "";
  return cut + Buffer.concat(chunks).toString() + note;
}

function lastAttempt(run: Run, stage: string, task: string): OutputRef | undefined {
  const attempt = findTask(run, { stage, task })?.attempts.length ?? 0;
  if (attempt === 0 || !run.pipeline) return undefined;
  return { run: run.id, pipeline: run.pipeline, attempt: { stage, task, attempt } };
}

function message(event: string, data: unknown): SseMessage {
  return { event, data: JSON.stringify(data) };
}
