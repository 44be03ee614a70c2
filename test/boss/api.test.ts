import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createApp } from "../../src/boss/app.js";
import { operations } from "../../src/boss/routes/openapi.js";
import type { LoggedEvent } from "../../src/model/events.js";
import type { PipelineView, RunSnapshot, RunSummary, WorkerView } from "../../src/wire/boss.js";
import { glance, type Rig, startRig } from "../rig/rig.js";

const pipedef = `
import { Stage, run, stage } from "bettertest";
const WORKER = "WORKER_URL";

export class Unit extends Stage {
  static task_good() { return run(WORKER, "any", "printf 'one\\\\ntwo\\\\n'"); }
  static task_bad() { return run(WORKER, "any", "echo before; exit 3"); }
}
stage("slashes/and spaces", { "a/b.test.ts": () => run(WORKER, "any", "echo never") });
stage("clean-up", { sweep: () => run("any", "echo swept") }, { always: true });
`;

describe("the boss's API", () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig({ files: { ".bettertest/pipedef.ts": pipedef } });
  });
  after(() => rig[Symbol.asyncDispose]());

  test("a run goes through its stages, skips after a red one, and always cleans up", async () => {
    const { status, body } = await rig.post("/api/runs", {});
    assert.equal(status, 201);
    const run = await rig.boss.engine.finished(body.run as number);
    assert.equal(run.status, "failed");
    assert.deepEqual(glance(run), [
      "Unit.task_good passed",
      "Unit.task_bad failed",
      "slashes/and spaces.a/b.test.ts skipped",
      "clean-up.sweep passed",
    ]);
    const end = run.stages[0]?.tasks[1]?.attempts[0]?.end;
    assert.deepEqual(end, {
      status: "failed",
      failure: { kind: "exit", command: "echo before; exit 3", exitCode: 3 },
    });
  });

  test("keepGoing runs the later stages too, and the run is still red", async () => {
    const run = await rig.run({ keepGoing: true });
    assert.equal(run.status, "failed");
    assert.ok(glance(run).includes("slashes/and spaces.a/b.test.ts passed"));
  });

  test("only the chosen task runs", async () => {
    const { body } = await rig.post("/api/runs", { only: ["Unit.task_good"] });
    const run = await rig.boss.engine.finished(body.run as number);
    assert.deepEqual(glance(run), ["Unit.task_good passed"]);
    assert.equal(run.status, "passed");
  });

  test("rerun of what failed runs just that", async () => {
    const first = await rig.run();
    const { status, body } = await rig.post(`/api/runs/${first.id}/rerun`, { failed: true });
    assert.equal(status, 201);
    const again = await rig.boss.engine.finished(body.run as number);
    assert.deepEqual(glance(again), [
      "Unit.task_bad failed",
      "slashes/and spaces.a/b.test.ts skipped",
    ]);
    assert.equal(again.request.trigger, `rerun of ${first.id}`);
  });

  test("runs are listed newest first, with counts", async () => {
    const run = await rig.run();
    const [newest] = await rig.get<RunSummary[]>("/api/runs?limit=1");
    assert.equal(newest?.id, run.id);
    assert.equal(newest?.status, "failed");
    assert.deepEqual(newest?.tasks, { passed: 2, failed: 1, skipped: 1 });
    const older = await rig.get<RunSummary[]>(`/api/runs?before=${run.id}&limit=1`);
    assert.equal(older[0]?.id, run.id - 1);
  });

  test("output is served by offset, limit and tail, and names with slashes work", async () => {
    const run = await rig.run({ keepGoing: true });
    const output = async (query: string, path = "Unit/task_good") => {
      const response = await fetch(`${rig.url}/api/runs/${run.id}/tasks/${path}/output${query}`);
      return [response.headers.get("bettertest-output-length"), await response.text()];
    };
    assert.deepEqual(await output(""), ["8", "one\ntwo\n"]);
    assert.deepEqual(await output("?offset=4"), ["8", "two\n"]);
    assert.deepEqual(await output("?offset=1&limit=2"), ["8", "ne"]);
    assert.deepEqual(await output("?tail=3"), ["8", "wo\n"]);
    assert.deepEqual(await output("?offset=999"), ["8", ""]);
    const path = `${encodeURIComponent("slashes/and spaces")}/${encodeURIComponent("a/b.test.ts")}`;
    assert.deepEqual(await output("", path), ["6", "never\n"]);
  });

  test("a reader of events resumes after the last one it saw, without gap or repeat", async () => {
    const run = await rig.run();
    const all: LoggedEvent[] = [];
    for await (const message of rig.sse(`/api/runs/${run.id}/events`)) {
      const logged = JSON.parse(message.data) as LoggedEvent;
      assert.equal(message.id, String(logged.seq));
      assert.equal(message.event, logged.event.type);
      all.push(logged);
    }
    assert.equal(all[0]?.event.type, "run-created");
    assert.equal(all.at(-1)?.event.type, "run-finished");
    const middle = all[Math.floor(all.length / 2)]!;
    const rest: LoggedEvent[] = [];
    for await (const message of rig.sse(`/api/runs/${run.id}/events`, {
      "last-event-id": String(middle.seq),
    })) {
      rest.push(JSON.parse(message.data) as LoggedEvent);
    }
    assert.deepEqual(rest, all.slice(all.indexOf(middle) + 1));
  });

  test("a snapshot says up to which event it goes", async () => {
    const run = await rig.run();
    const snapshot = await rig.get<RunSnapshot>(`/api/runs/${run.id}`);
    assert.equal(snapshot.run.status, "failed");
    assert.ok(snapshot.seq >= 1);
  });

  test("pipelines and workers are there, and the feed carries them and the events", async () => {
    const [pipeline] = await rig.get<PipelineView[]>("/api/pipelines");
    assert.deepEqual(
      pipeline?.pipeline?.stages.map((stage) => stage.name),
      ["Unit", "slashes/and spaces", "clean-up"],
    );
    const seen = new Set<string>();
    let started = false;
    for await (const { event, data } of rig.sse("/api/events")) {
      seen.add(event);
      if (event === "workers" && !started) {
        started = true;
        const [worker] = JSON.parse(data) as WorkerView[];
        assert.equal(worker?.url, rig.worker.url);
        await rig.post("/api/runs", { only: ["Unit.task_good"] });
      }
      if (event === "run-finished") break;
    }
    assert.ok(seen.has("pipelines") && seen.has("attempt-started"));
  });

  test("a reader may have events together, and resumes behind the last of them", async () => {
    const { id } = await rig.run();
    const one = await events("/api/events?after=0", id);
    const together = await events("/api/events?after=0&together=1", id);
    assert.deepEqual(together.events, one.events);
    assert.ok(together.messages < one.messages / 2, `${together.messages} of ${one.messages}`);
    const middle = one.events.length >> 1;
    const rest = await events(`/api/events?after=${one.events[middle]!.seq}&together=1`, id);
    assert.deepEqual(rest.events, one.events.slice(middle + 1));
  });

  /** Until the run's last. Whoever comes back with a message's id has heard all that was in it. */
  async function events(path: string, run: number) {
    const found: LoggedEvent[] = [];
    let messages = 0;
    const others = ["hello", "health", "queue", "pipelines", "workers"];
    for await (const { event, id, data } of rig.sse(path)) {
      if (others.includes(event)) continue;
      messages += 1;
      found.push(...([JSON.parse(data)].flat() as LoggedEvent[]));
      assert.equal(id, String(found.at(-1)?.seq));
      if (found.some((logged) => logged.run === run && logged.event.type === "run-finished")) break;
    }
    return { events: found, messages };
  }

  const refusals: [string, string, string | undefined, number, RegExp][] = [
    ["POST", "/api/runs", "{", 400, /not JSON/],
    ["POST", "/api/runs", '{"only": "Unit"}', 400, /^only: /],
    ["POST", "/api/runs", '{"olny": ["Unit"]}', 400, /olny/],
    [
      "POST",
      "/api/runs",
      '{"only": ["Unit.task_goood"]}',
      400,
      /no stage or task "Unit.task_goood".*Unit.task_good/,
    ],
    ["POST", "/api/runs", '{"pipeline": "nope"}', 404, /no pipeline "nope"/],
    ["POST", "/api/runs", `{"only": ["${"x".repeat(2 ** 20)}"]}`, 413, /1048576 bytes/],
    ["GET", "/api/runs?limit=0", undefined, 400, /^limit must be/],
    ["GET", "/api/runs?limit=ten", undefined, 400, /"ten"/],
    ["GET", "/api/runs/999", undefined, 404, /no run "999"/],
    ["GET", "/api/runs/..%2f..%2fetc", undefined, 404, /no run/],
    ["POST", "/api/runs/999/cancel", undefined, 404, /no run/],
    ["GET", "/api/runs/1/tasks/Unit/nope", undefined, 404, /no task Unit.nope/],
    [
      "GET",
      "/api/runs/1/tasks/Unit/task_good/output?attempt=9",
      undefined,
      404,
      /attempt 9; its last is 1/,
    ],
    ["GET", "/api/nothing", undefined, 404, /openapi/],
  ];
  for (const [method, path, body, status, message] of refusals) {
    test(`${method} ${path} ${(body ?? "").slice(0, 40)} is a ${status}`, async () => {
      const response = await fetch(rig.url + path, { method, ...(body !== undefined && { body }) });
      assert.equal(response.status, status);
      assert.match(((await response.json()) as { error: string }).error, message);
    });
  }

  test("the OpenAPI document lists every route there is", async () => {
    const routes = createApp(rig.boss.engine, { version: "0", log: () => {} })
      .routes.filter(
        (route) => route.method !== "ALL" && /^\/(api|health|metrics)/.test(route.path),
      )
      .map(
        (route) =>
          `${route.method.toLowerCase()} ${route.path.replace(/:(\w+)(\{\.\+\})?/g, "{$1}")}`,
      )
      .filter((route) => route !== "get /api/openapi.json");
    const listed = operations.map(({ method, path }) => `${method} ${path}`);
    assert.deepEqual([...new Set(routes)].sort(), listed.sort());
    const document = await rig.get<{ paths: object }>("/api/openapi.json");
    assert.ok("/api/runs/{id}/events" in document.paths);
  });
});

test("the feed repeats no pipeline because a worker has changed", async () => {
  await using rig = await startRig({
    files: {
      ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
        const s = stage("one");
        for (let n = 0; n < 5; n++) s.task("t" + n, () => run("any", "true"));`,
    },
  });
  const told = { pipelines: 0, workers: 0 };
  for await (const { event } of rig.sse("/api/events")) {
    if (event === "pipelines" || event === "workers") told[event] += 1;
    if (told.workers === 1 && event === "workers") await rig.post("/api/runs");
    if (event === "run-finished") break;
  }
  assert.equal(told.pipelines, 1);
  assert.ok(told.workers > 1, `workers were told ${told.workers} times`);
});
