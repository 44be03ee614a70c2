// Every way in which a pipedef's code can go down: its run says why, another run does not notice.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostOptions } from "../../../../runtime/host/host.js";
import { homes, MiB, makeRepo, openTestHost } from "./rig.js";

const wrong = `import { run, Stage } from "bettertest";
import fs from "node:fs";
const forever = () => new Promise(() => setInterval(() => {}, 1000));

export class Breaks extends Stage {
  static task_exit() { process.exit(3); }
  static task_loop() { for (;;); }
  static task_rejects() { Promise.reject(new Error("nobody cares")); return forever(); }
  static task_timer() { setTimeout(() => { throw new Error("from a timer"); }, 5); return forever(); }
  static async task_garbage() { const kept = []; for (;;) { kept.push(new Array(1000).fill(Math.random())); if (kept.length % 1000 === 0) await 0; } }
  static async task_buffers() { const kept: Buffer[] = []; for (;;) { kept.push(Buffer.alloc(8 * 2 ** 20, 1)); await new Promise((done) => setTimeout(done, 10)); } }
  static task_unhandled() { process.removeAllListeners("uncaughtException"); setTimeout(() => { throw new Error("past every handler"); }, 5); return forever(); }
  static async task_late_run() { setTimeout(() => run("img", "too late"), 20); }
  static task_sync_flood() { for (let i = 0; i < 60_000; i++) console.log("x".repeat(100)); }
}
export class Refused extends Stage {
  static task_kill() { process.kill(process.pid, "SIGKILL"); }
  static task_kill_group() { process.kill(0); }
  static task_abort() { process.abort(); }
  static task_chdir() { process.chdir("/"); }
  static task_close() { fs.closeSync(1); }
  static task_write() { fs.writeSync(1, "by descriptor\\n"); fs.writeFileSync(2, "as file\\n"); }
}
export class Malice extends Stage {
  static task_sigkill() { process.kill(process.pid, "SIGKILL"); return forever(); }
  static task_sigterm() { process.kill(process.pid, "SIGTERM"); return forever(); }
  static task_really_exit() { (process as any).reallyExit(5); }
  static async task_buffers() { const kept: Buffer[] = []; for (;;) { kept.push(Buffer.alloc(64 * 2 ** 20, 1)); await new Promise(setImmediate); } }
  static task_close() { for (const fd of [0, 1, 2]) fs.closeSync(fd); }
  static task_close_all() { for (let fd = 0; fd < 30; fd++) { try { fs.closeSync(fd); } catch {} } return forever(); }
  static task_junk() { fs.writeSync(3, Buffer.alloc(100_000, 0x41)); return forever(); }
  static task_nonsense() { const json = Buffer.from('{"type":"loaded","stages":7}'); const head = Buffer.alloc(8); head.writeUInt32LE(json.length); head.writeUInt32LE(json.length, 4); fs.writeSync(3, Buffer.concat([head, json])); return forever(); }
  static task_flood() { const json = Buffer.from('{"type":"output","task":null}'); const head = Buffer.alloc(8); head.writeUInt32LE(json.length + 100000); head.writeUInt32LE(json.length, 4); const frame = Buffer.concat([head, json, Buffer.alloc(100000, 120)]); for (let i = 0; i < 3000; i++) for (let at = 0; at < frame.length; ) at += fs.writeSync(3, frame, at); }
  static task_raw() { fs.writeSync(1, "straight to the descriptor\\n"); }
}
`;

const bystander = `import { run, Stage } from "bettertest";
export class Calm extends Stage {
  static async task_work() { for (let i = 0; i < 3; i++) { await run("img", "step " + i); console.log("done", i); } }
}
`;
const calmOutput = [0, 1, 2].map((i) => `<step ${i}>\ndone ${i}\n`).join("");

/** Runs the task while another pipedef's host is in the middle of its own. */
async function breakHost(
  home: HostOptions["home"],
  label: string,
  options: Partial<HostOptions> = {},
) {
  await using repo = await makeRepo({ "wrong.ts": wrong, "calm.ts": bystander });
  await using calm = await openTestHost(repo.path("calm.ts"), { home });
  await calm.load();
  let carryOn = () => {};
  const held = new Promise<void>((done) => {
    carryOn = done;
  });
  const working = calm.run("Calm.task_work", {
    io: {
      async call({ request }) {
        await held;
        const output = Buffer.from(`<${request.command}>\n`);
        return {
          outcome: { kind: "exited", exitCode: 0 },
          durationMs: 1,
          output,
          outputBytes: output.length,
        };
      },
    },
  });
  await using opened = await openTestHost(repo.path("wrong.ts"), {
    home,
    stallTimeoutMs: 15_000,
    ...options,
  });
  await opened.load();
  const ran = await opened.run(label);
  carryOn();
  assert.equal((await working).end.status, "passed");
  assert.equal((await calm.run("Calm.task_work")).output, calmOutput);
  const broken = await Promise.race([
    opened.host.broken,
    new Promise<null>((done) => setImmediate(done, null)),
  ]);
  return { ...ran, broken, loadOutput: opened.loadOutput() };
}

async function breaksWith(
  home: HostOptions["home"],
  label: string,
  reason: RegExp,
  options: Partial<HostOptions> = {},
) {
  const { end, broken } = await breakHost(home, label, options);
  assert.equal(end.status, "errored", JSON.stringify(end));
  assert.ok(end.status === "errored");
  assert.match(end.fault.message, reason);
  assert.deepEqual(broken, end.fault);
}

for (const home of homes) {
  test(`breaking a pipedef in a ${home}`, { concurrency: 2 }, async (t) => {
    await Promise.all([
      t.test("process.exit", () =>
        breaksWith(
          home,
          "Breaks.task_exit",
          /^process\.exit\(3\) was called in task Breaks\.task_exit$/,
        ),
      ),
      t.test("an endless loop", () =>
        breaksWith(
          home,
          "Breaks.task_loop",
          /event loop stood still for 1\.5 s in task Breaks\.task_loop/,
          {
            stallTimeoutMs: 1500,
          },
        ),
      ),
      t.test("an unhandled rejection", () =>
        breaksWith(
          home,
          "Breaks.task_rejects",
          /^unhandled rejection: nobody cares in task Breaks\.task_rejects$/,
        ),
      ),
      t.test("a throw in a timer", () =>
        breaksWith(
          home,
          "Breaks.task_timer",
          /^uncaught exception: from a timer in task Breaks\.task_timer$/,
        ),
      ),
      t.test("an exception past every handler", () =>
        breaksWith(home, "Breaks.task_unhandled", /ended by itself|past every handler/),
      ),
      t.test("a heap of garbage", () =>
        breaksWith(
          home,
          "Breaks.task_garbage",
          /ran out of memory \(limit 64 MiB\) in task Breaks\.task_garbage/,
          {
            memoryBytes: 64 * MiB,
          },
        ),
      ),
      t.test("buffers outside the heap", () =>
        breaksWith(home, "Breaks.task_buffers", /ran out of memory \(limit 64 MiB\)/, {
          memoryBytes: 64 * MiB,
        }),
      ),
      t.test("a flood of output is printed in full, and slows only its printer", async () => {
        const { end, output } = await breakHost(home, "Breaks.task_sync_flood");
        assert.equal(end.status, "passed");
        assert.equal(output.length, 60_000 * 101);
      }),
    ]);
  });

  test(`a run(...) after its task has ended, in a ${home}`, async () => {
    await using repo = await makeRepo({ "wrong.ts": wrong });
    await using opened = await openTestHost(repo.path("wrong.ts"), { home });
    await opened.load();
    assert.equal((await opened.run("Breaks.task_late_run")).end.status, "passed");
    const { message } = await opened.host.broken;
    assert.match(
      message,
      /uncaught exception: run\(\.\.\.\) was called after its task Breaks\.task_late_run had ended/,
    );
    assert.equal((await opened.run("Breaks.task_late_run")).end.status, "errored");
  });

  test(`cancel ends a task in an endless loop, and close its ${home}`, async () => {
    await using repo = await makeRepo({ "wrong.ts": wrong });
    await using opened = await openTestHost(repo.path("wrong.ts"), {
      home,
      stallTimeoutMs: 60_000,
    });
    await opened.load();
    const cancel = new AbortController();
    const looping = opened.run("Breaks.task_loop", { signal: cancel.signal });
    setTimeout(() => cancel.abort(), 100);
    assert.deepEqual((await looping).end, { status: "cancelled" });
    const before = performance.now();
    await opened.host.close();
    assert.ok(performance.now() - before < 2000);
  });
}

test("what would hit the whole boss is refused in a thread", async (t) => {
  for (const [task, reason] of [
    ["kill", /process\.kill\(\d+, SIGKILL\) is refused in a pipedef: it would hit the whole boss/],
    ["kill_group", /process\.kill\(0\) is refused/],
    ["abort", /process\.abort\(\) is refused/],
    ["chdir", /process\.chdir\(\/\) is refused/],
    ["close", /fs\.closeSync\(1\) is refused/],
  ] as const) {
    await t.test(task, async () => {
      const { end } = await breakHost("thread", `Refused.task_${task}`);
      assert.ok(end.status === "failed" && end.failure.kind === "thrown");
      assert.match(end.failure.message, reason);
    });
  }
  await t.test("writes to descriptor 1 are the task's output", async () => {
    const { end, output } = await breakHost("thread", "Refused.task_write");
    assert.deepEqual([end.status, output], ["passed", "by descriptor\nas file\n"]);
  });
});

test("malice ends only its own process", { concurrency: 2 }, async (t) => {
  await Promise.all([
    t.test("SIGKILL", () =>
      breaksWith("process", "Malice.task_sigkill", /was killed by SIGKILL.* in task/),
    ),
    t.test("SIGTERM", () =>
      breaksWith("process", "Malice.task_sigterm", /was killed by SIGTERM in task/),
    ),
    t.test("exit behind the guard", () =>
      breaksWith("process", "Malice.task_really_exit", /ended by itself, with exit code 5/),
    ),
    t.test("memory outside the heap", async () => {
      // The system's limit stops the allocation, or the boss hears of the size first.
      const { end } = await breakHost("process", "Malice.task_buffers", { memoryBytes: 64 * MiB });
      assert.ok(end.status === "errored");
      assert.match(end.fault.message, /ran out of memory/);
    }),
    t.test("all descriptors closed", () =>
      breaksWith("process", "Malice.task_close_all", /./, { stallTimeoutMs: 3000 }),
    ),
    t.test("junk on the channel", () =>
      breaksWith("process", "Malice.task_junk", /sent what is no message/),
    ),
    t.test("a message of the wrong form", () =>
      breaksWith("process", "Malice.task_nonsense", /sent a message that makes no sense/),
    ),
    t.test("descriptors 0 to 2 closed", async () => {
      assert.equal((await breakHost("process", "Malice.task_close")).end.status, "passed");
    }),
    t.test("a flood of messages", async () => {
      const before = process.memoryUsage.rss();
      const { end, loadOutput } = await breakHost("process", "Malice.task_flood");
      assert.equal(end.status, "passed");
      assert.ok(loadOutput.length < 2 * MiB);
      assert.ok(process.memoryUsage.rss() - before < 200 * MiB);
    }),
    t.test("writes to its own descriptor 1 are load output", async () => {
      const { loadOutput } = await breakHost("process", "Malice.task_raw");
      assert.equal(loadOutput, "straight to the descriptor\n");
    }),
  ]);
});

test("close in the middle of a load or a task leaves nobody waiting", async () => {
  await using repo = await makeRepo({
    "wrong.ts": wrong,
    "waits.ts": "await new Promise(() => {});",
  });
  await using loading = await openTestHost(repo.path("waits.ts"));
  const load = loading.host.load();
  await loading.host.close();
  const result = await load;
  assert.ok(!result.ok);
  assert.match(result.problem.message, /closed while it loaded/);

  await using running = await openTestHost(repo.path("wrong.ts"));
  await running.load();
  const loop = running.run("Breaks.task_loop");
  await running.host.close();
  assert.deepEqual((await loop).end, { status: "cancelled" });
});
