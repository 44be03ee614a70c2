import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { LoggedEvent } from "../../src/model/events.js";
import type { PipelineView } from "../../src/wire/boss.js";
import { glance, type Rig, startRig, statusOf } from "../rig/rig.js";

const imports = `import { Stage, run, stage } from "bettertest";\n`;

/** The first event of a type; the rig's runs are followed from their beginning. */
async function untilEvent(rig: Rig, run: number, type: LoggedEvent["event"]["type"]) {
  const signal = new AbortController().signal;
  for await (const { event } of rig.boss.engine.log.follow({ run, after: 0, signal })) {
    if (event.type === type) return event;
  }
  throw new Error(`run ${run} ended without ${type}`);
}

test("tasks of a stage run side by side, no more than the worker has slots, in their order", async () => {
  await using rig = await startRig({
    slots: 3,
    files: {
      ".bettertest/pipedef.ts": `${imports}
        const s = stage("many");
        for (let i = 0; i < 30; i++) s.task("t" + i, () => run("any", "echo " + i));`,
    },
  });
  const run = await rig.run();
  assert.equal(run.status, "passed", JSON.stringify(run));
  let running = 0;
  let most = 0;
  const started: string[] = [];
  for (const { event } of rig.boss.engine.store.events({ run: run.id, after: 0, limit: 1e6 })) {
    if (event.type === "attempt-started") {
      started.push(event.task);
      most = Math.max(most, ++running);
    }
    if (event.type === "attempt-finished") running -= 1;
  }
  assert.equal(most, 3);
  assert.deepEqual(
    started,
    Array.from({ length: 30 }, (_, i) => `t${i}`),
  );
});

test("a cancelled run ends its running task, skips the rest, and says who did it", async () => {
  await using rig = await startRig({
    slots: 1,
    files: {
      ".bettertest/pipedef.ts": `${imports}
        stage("one", { long: () => run("any", "echo started; sleep 600"), next: () => run("any", "true") });
        stage("two", { never: () => run("any", "true") });`,
    },
  });
  const { body } = await rig.post("/api/runs", {});
  const id = body.run as number;
  await untilEvent(rig, id, "call-started");
  assert.equal((await rig.post(`/api/runs/${id}/cancel`)).status, 202);
  const run = await rig.boss.engine.finished(id);
  assert.equal(run.status, "cancelled");
  assert.equal(run.cancelledBy, "api");
  assert.deepEqual(glance(run), ["one.long cancelled", "one.next skipped", "two.never skipped"]);
  assert.equal((await rig.post(`/api/runs/${id}/cancel`)).status, 409);
});

test("runs beyond the limit wait, and a waiting one can be cancelled", async () => {
  await using rig = await startRig({
    concurrentRuns: 1,
    files: {
      // Written again below: only a started rig knows its folder.
      ".bettertest/pipedef.ts": `${imports} stage("one", { gate: () => {} });`,
    },
  });
  const gate = join(rig.folder, "gate");
  rig.write(
    ".bettertest/pipedef.ts",
    `${imports} import { appendFileSync } from "node:fs"; appendFileSync(${JSON.stringify(join(rig.folder, "loads"))}, ".");
     stage("one", { gate: () => run("any", "while [ ! -e ${gate} ]; do sleep 0.05; done") });`,
  );
  const start = async () => (await rig.post("/api/runs", {})).body.run as number;
  const [first, second, third] = [await start(), await start(), await start()];
  await untilEvent(rig, first, "call-started");
  assert.equal(rig.boss.engine.store.run(second)?.status, "queued");
  const loads = () => readFileSync(join(rig.folder, "loads"), "utf8").length;
  const loadsBefore = loads();
  await rig.post(`/api/runs/${second}/cancel`);
  assert.equal((await rig.boss.engine.finished(second)).status, "cancelled");
  assert.equal(loads(), loadsBefore, "its pipedef was loaded to be cancelled");
  assert.equal(rig.boss.engine.store.run(third)?.status, "queued");
  writeFileSync(gate, "");
  assert.equal((await rig.boss.engine.finished(third)).status, "passed");
});

test("a pipedef that breaks is an errored run with the place in words, never a red test", async () => {
  await using rig = await startRig({
    files: { ".bettertest/pipedef.ts": `${imports}\nstage("one", {\n  a: () => ;\n});` },
  });
  const run = await rig.run();
  assert.equal(run.status, "errored");
  assert.equal(run.fault?.origin, "pipedef", JSON.stringify(run));
  assert.match(run.fault?.message ?? "", /pipedef\.ts:4:\d+: /);
  assert.deepEqual(glance(run), []);
});

test("a worker that is not there is an infrastructure fault, never a red test", async () => {
  await using rig = await startRig({
    files: {
      ".bettertest/pipedef.ts": `${imports}
        stage("one", { a: () => run("http://127.0.0.1:1", "any", "true") });`,
    },
  });
  const run = await rig.run();
  assert.equal(run.status, "errored");
  const end = run.stages[0]?.tasks[0]?.attempts[0]?.end;
  assert.equal(end?.status, "errored");
  assert.match(
    end?.status === "errored" ? end.fault.message : "",
    /http:\/\/127\.0\.0\.1:1 did not answer/,
  );
});

test("a saved pipedef is shown at once; a broken one keeps the last good and says so", async () => {
  await using rig = await startRig({
    watch: true,
    files: {
      ".bettertest/pipedef.ts": `${imports} import { name } from "./names.js"; stage(name, { a: () => {} });`,
      ".bettertest/names.ts": `export const name = "first";`,
    },
  });
  async function* views(): AsyncGenerator<PipelineView> {
    for await (const { event, data } of rig.sse("/api/events")) {
      if (event === "pipelines") yield (JSON.parse(data) as PipelineView[])[0]!;
    }
  }
  const stages = (view: PipelineView) => view.pipeline?.stages.map((stage) => stage.name);
  const feed = views();
  const next = async (wanted: (view: PipelineView) => boolean) => {
    for (;;) {
      const { value } = await feed.next();
      if (wanted(value as PipelineView)) return value as PipelineView;
    }
  };
  await next((view) => stages(view)?.[0] === "first");

  rig.write(".bettertest/names.ts", `export const name = "second";`);
  await next((view) => stages(view)?.[0] === "second");

  rig.write(".bettertest/names.ts", `export const name = ;`);
  const broken = await next((view) => view.problem !== null);
  assert.deepEqual(stages(broken), ["second"]);
  assert.match(broken.problem ?? "", /names\.ts:1:\d+/);

  rig.write(".bettertest/names.ts", `export const name = "third";`);
  const mended = await next((view) => view.problem === null);
  assert.deepEqual(stages(mended), ["third"]);
});

test("a run keeps going and is told apart when the pipedef loses a task that is asked for", async () => {
  await using rig = await startRig({
    files: { ".bettertest/pipedef.ts": `${imports} stage("one", { a: () => {}, b: () => {} });` },
  });
  const first = await rig.run({ only: ["one.b"] });
  assert.equal(first.status, "passed");
  rig.write(".bettertest/pipedef.ts", `${imports} stage("one", { a: () => {} });`);
  const { body } = await rig.post(`/api/runs/${first.id}/rerun`, {});
  const second = await rig.boss.engine.finished(body.run as number);
  assert.equal(second.status, "errored");
  assert.match(second.fault?.message ?? "", /no task one\.b any more/);
});

test("several pipedefs of a folder are pipelines of their own", async () => {
  await using rig = await startRig({
    files: {
      "shop/.bettertest/pipedef.ts": `${imports} stage("s", { a: () => {} });`,
      "blog/.bettertest/pipedef.mjs": `${imports} stage("b", { a: () => {} });`,
    },
  });
  const names = (await rig.get<PipelineView[]>("/api/pipelines")).map((view) => view.name);
  assert.deepEqual(names.sort(), ["blog", "shop"]);
  assert.match((await rig.post("/api/runs", {})).body.error as string, /which pipeline: /);
  const { body } = await rig.post("/api/runs", { pipeline: "blog" });
  assert.deepEqual(glance(await rig.boss.engine.finished(body.run as number)), ["b.a passed"]);
});

test("what a task prints and what its commands print stand in one output, in order", async () => {
  await using rig = await startRig({
    files: {
      ".bettertest/pipedef.ts": `${imports}
        stage("one", { async a() {
          console.log("first");
          const result = await run("any", "printf second; echo; echo third >&2");
          console.log("fourth", result.output.length);
          await run("any", "exit 9", { check: false });
        } });`,
    },
  });
  const run = await rig.run();
  assert.equal(statusOf(run, "one", "a"), "passed", JSON.stringify(run));
  assert.equal(await rig.output(run.id, "one", "a"), "first\nsecond\nthird\nfourth 13\n");
});

test("two runs at once do not see each other; stopping the boss ends both and leaves no folder", async () => {
  const rig = await startRig({
    slots: 4,
    files: {
      ".bettertest/pipedef.ts": `${imports} stage("one", { a: () => run("any", "sleep 600") });`,
    },
  });
  try {
    const ids = [1, 2].map(() => {
      const started = rig.boss.engine.start({ trigger: "test" });
      assert.ok(started.ok);
      return started.run;
    });
    for (const id of ids) await untilEvent(rig, id, "call-started");
    await rig.boss.stop();
    for (const id of ids) assert.equal((await rig.boss.engine.finished(id)).status, "cancelled");
    assert.equal(existsSync(join(rig.folder, "data")), true);
    const { running } = rig.worker.info();
    assert.equal(running, 0);
  } finally {
    await rig.worker.stop();
    rmSync(rig.folder, { recursive: true, force: true });
  }
});
