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
import type { TaskRef } from "../../model/pipeline.js";
import { isFinished } from "../../model/run.js";
import { bytesResponse } from "../../wire/stream.js";
import type { Engine } from "../engine.js";
import { mergeInto } from "../merge.js";
import { LineSplitter } from "../output/lines.js";
import type { OutputRef } from "../output/outputs.js";
import { type MessageInPieces, streamSse } from "../stream.js";
import { lastAttempt, legacyResult, legacyRun } from "./legacy-state.js";
import { theRun } from "./runs.js";

export function legacyRoutes(engine: Engine, audit: Audit): Hono {
  const app = new Hono();

  app.get("/state", async () => {
    // Such a client asks once, at its start: it must not take a boss that still loads for one without stages.
    await engine.pipelines.ready;
    const view = engine.pipelines.views()[0];
    const stages = view?.pipeline?.stages ?? [];
    const last = view && engine.store.runs({ limit: 1, pipeline: view.name })[0];
    const run = last && engine.store.shown(last.id);
    const pipeline = {
      stages: stages.map(({ name, tasks }) => ({ name, tasks: tasks.map((task) => task.name) })),
    };
    const state = engine.outputStreams.counted(async function* () {
      yield Buffer.from(`{"pipeline":${JSON.stringify(pipeline)},"run":`);
      if (run) for await (const piece of legacyRun(engine, run)) yield Buffer.from(piece);
      yield Buffer.from(run ? "}" : "null}");
    });
    return bytesResponse(state, { headers: { "content-type": "application/json" } });
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
): AsyncGenerator<SseMessage | MessageInPieces> {
  // A client that connects right after POST /api/run must find the stages in its first message.
  let after = 0;
  for await (const { seq, event } of engine.log.follow({ run: id, after: 0, signal })) {
    after = seq;
    if (event.type === "run-loaded" || event.type === "run-finished") break;
  }
  after = Math.max(after, engine.store.storedSeq());
  const run = engine.store.shown(id)!;
  // The state holds the output up to here; the lines that follow go on from there.
  const offsets = new Map<string, number>();
  yield { event: "state", pieces: legacyRun(engine, run, offsets) };
  if (isFinished(run)) return yield message("run_done", {});

  yield* mergeInto<SseMessage | MessageInPieces>(signal, async (emit, scope) => {
    const followers = new Map<string, Promise<void>>();
    const follow = ({ stage, task }: TaskRef, attempt?: number) => {
      const last = lastAttempt(engine.store.shown(id)!, stage, task);
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
        if (!event.retried) await emit(taskResult(engine, id, event));
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

function taskResult(
  engine: Engine,
  id: number,
  { stage, task, end }: LoggedEvent["event"] & { type: "attempt-finished" },
): MessageInPieces {
  const ref = lastAttempt(engine.store.shown(id)!, stage, task)!;
  return { event: "task_result", pieces: legacyResult(engine, ref, end) };
}

function message(event: string, data: unknown): SseMessage {
  return { event, data: JSON.stringify(data) };
}
