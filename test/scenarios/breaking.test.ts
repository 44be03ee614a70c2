// Every way to break a pipedef, in both homes, while another run goes on undisturbed.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Run } from "../../src/model/run.js";
import { glance, type Rig, startRig } from "../rig/rig.js";

const pipedefMemoryBytes = 128 * 2 ** 20;
const head = `import { run, Stage, stage } from "bettertest";\n`;
const task = (body: string) => `${head}stage("s", { async t() {\n${body}\n} });`;

interface Breakage {
  readonly text: string;
  /** What the run's or the task's fault must say. */
  readonly says: RegExp;
  /** The pipedef does not load, so the run has no tasks at all. */
  readonly atLoad?: true;
}

const breakages: Record<string, Breakage> = {
  "a syntax error": {
    text: `${head}stage("s", { t() { const = 1; } });`,
    says: /pipedef\.ts:2:\d+: .*\n.*2 \| stage\("s", \{ t\(\) \{ const = 1/,
    atLoad: true,
  },
  "an import that is missing": {
    text: `${head}import { x } from "./nowhere.js";\nstage("s", { t() { x(); } });`,
    says: /pipedef\.ts:2:\d+: .*nowhere/,
    atLoad: true,
  },
  "a throw at load": {
    text: `${head}stage("s", { t() {} });\nthrow new Error("no such luck");`,
    says: /pipedef\.ts:3:\d+: .*no such luck/,
    atLoad: true,
  },
  "no stage": { text: `${head}export const nothing = 1;`, says: /no stage/i, atLoad: true },
  "a task name twice": {
    text: `${head}export class S extends Stage {\n  static task_a() {}\n  static task_a() {}\n}`,
    says: /pipedef\.ts:4:\d+: .*task_a/,
    atLoad: true,
  },
  "an endless loop at load": {
    text: `${head}stage("s", { t() {} });\nfor (;;);`,
    says: /did not answer|stall|loop|blocked/i,
    atLoad: true,
  },
  "an endless loop in a task": { text: task("for (;;);"), says: /answer|stall|loop|blocked/i },
  "process.exit": { text: task("process.exit(0);"), says: /process\.exit|exit/i },
  "an unhandled rejection": {
    text: task(
      `void Promise.reject(new Error("nobody cares")); await new Promise(() => setTimeout(() => {}, 1e9));`,
    ),
    says: /nobody cares/,
  },
  "a throw in a timer": {
    text: task(
      `setTimeout(() => { throw new Error("too late"); }, 1); await new Promise(() => setTimeout(() => {}, 1e9));`,
    ),
    says: /too late/,
  },
};

/** In processes alone also what is outside of the heap: in a thread that is the boss's own memory. */
const hungry = {
  "a heap of garbage": {
    text: task(
      `const all: unknown[] = []; for (;;) all.push(new Array(1000).fill(Math.random()));`,
    ),
    says: /"errored".*memory/i,
    homes: ["thread", "process"],
  },
  "buffers without end": {
    text: task(`const all: Buffer[] = []; for (;;) all.push(Buffer.alloc(16 * 1024 * 1024, 1));`),
    says: /allocation failed|memory/,
    homes: ["process"],
  },
};

/** What would hit the whole boss in a thread is refused there; the task is red by its own doing. */
const refused: Record<string, string> = {
  chdir: `process.chdir("/");`,
  "killing the own pid": `process.kill(process.pid, "SIGKILL");`,
  "closing standard output": `(await import("node:fs")).closeSync(1);`,
  abort: `process.abort();`,
};

/** What only the child process withstands. */
const malice: Record<string, string> = {
  "killing the own pid": `process.kill(process.pid, "SIGKILL"); await new Promise(() => {});`,
  abort: `process.abort();`,
  "closing every file": `const fs = await import("node:fs"); for (let fd = 0; fd < 64; fd++) try { fs.closeSync(fd); } catch {}
    for (let i = 0; i < 100; i++) { console.log("still here"); await new Promise((go) => setImmediate(go)); } for (;;);`,
};

for (const home of ["thread", "process"] as const) {
  describe(`a pipedef that breaks in a ${home}`, () => {
    let rig: Rig;
    let undisturbed: Promise<Run>;
    before(async () => {
      rig = await startRig({
        hostHome: home,
        slots: 4,
        concurrentRuns: 100,
        stallTimeoutMs: 2_000,
        pipedefMemoryBytes,
        files: {
          // Written again below: only a started rig knows its folder.
          "good/.bettertest/pipedef.ts": task(""),
          "bad/.bettertest/pipedef.ts": task(""),
        },
      });
      const gate = join(rig.folder, "gate");
      rig.write(
        "good/.bettertest/pipedef.ts",
        `${head}stage("s", { async t() {
          while (!(await run("any", "if [ -e ${gate} ]; then echo over; else sleep 0.1; fi")).output.includes("over"));
          console.log("undisturbed");
        } });`,
      );
      const started = rig.boss.engine.start({ pipeline: "good", trigger: "test" });
      assert.ok(started.ok);
      undisturbed = rig.boss.engine.finished(started.run);
    });
    after(() => rig[Symbol.asyncDispose]());

    async function runBad(text: string): Promise<Run> {
      rig.write("bad/.bettertest/pipedef.ts", text);
      const started = rig.boss.engine.start({ pipeline: "bad", trigger: "test" });
      assert.ok(started.ok);
      return rig.boss.engine.finished(started.run);
    }

    for (const [name, { text, says, atLoad }] of Object.entries(breakages)) {
      test(`${name}: the run is errored and says why`, async () => {
        const run = await runBad(text);
        assert.equal(run.status, "errored", JSON.stringify(run));
        assert.deepEqual(glance(run), atLoad ? [] : ["s.t errored"]);
        assert.match(run.fault?.message ?? "", says);
      });
    }

    for (const [name, { text, says, homes }] of Object.entries(hungry)) {
      if (!homes.includes(home)) continue;
      test(`${name}: the task says that it was the memory`, async () => {
        // To fill it may take longer than an endless loop is waited for.
        await using patient = await startRig({
          hostHome: home,
          stallTimeoutMs: 120_000,
          pipedefMemoryBytes,
          files: { ".bettertest/pipedef.ts": text },
        });
        const run = await patient.run();
        assert.match(JSON.stringify(run.stages[0]?.tasks[0]?.attempts[0]?.end), says);
      });
    }

    test("cancelling works in an endless loop", async () => {
      rig.write("bad/.bettertest/pipedef.ts", task("for (;;);"));
      const started = rig.boss.engine.start({ pipeline: "bad", trigger: "test" });
      assert.ok(started.ok);
      const signal = new AbortController().signal;
      for await (const { event } of rig.boss.engine.log.follow({
        run: started.run,
        after: 0,
        signal,
      })) {
        if (event.type === "attempt-started") rig.boss.engine.cancel(started.run, "test");
      }
      const run = await rig.boss.engine.finished(started.run);
      assert.equal(run.status, "cancelled");
    });

    if (home === "thread") {
      for (const [name, body] of Object.entries(refused)) {
        test(`${name} is refused with a clear error`, async () => {
          const run = await runBad(task(body));
          assert.deepEqual(glance(run), ["s.t failed"], JSON.stringify(run));
          const end = run.stages[0]?.tasks[0]?.attempts[0]?.end;
          const failure = end?.status === "failed" ? end.failure : undefined;
          assert.match(failure?.kind === "thrown" ? failure.message : "", /pipedef/);
        });
      }
    } else {
      for (const [name, body] of Object.entries(malice)) {
        test(`${name} ends that run only`, async () => {
          const run = await runBad(task(body));
          assert.equal(run.status, "errored", JSON.stringify(run));
        });
      }
    }

    test("the other run went on undisturbed", async () => {
      writeFileSync(join(rig.folder, "gate"), "");
      const run = await undisturbed;
      assert.equal(run.status, "passed");
      assert.match(await rig.output(run.id, "s", "t"), /undisturbed\n$/);
    });
  });
}
