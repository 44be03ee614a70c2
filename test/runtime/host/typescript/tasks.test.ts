// How a task ends, and what stands in its output: the same in both homes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { homes, MiB, makeRepo, openTestHost } from "./rig.js";

const pipedef = `import { run, Stage, stage, CommandFailed, InfrastructureError } from "bettertest";
import { execSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";

const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms));

export class Ends extends Stage {
  static task_passes() {}
  static async task_exit() { await run("img", "exit 7"); }
  static task_timeout() { return run("img", "timeout"); }
  static task_oom() { return run("img", "oom"); }
  static task_fault() { return run("img", "fault", { check: false }); }
  static task_throws() { throw new TypeError("no such thing", { cause: new Error("the reason") }); }
  static task_throws_text() { throw "just text"; }
  static async task_wraps() {
    try { await run("img", "exit 2"); } catch (cause) { throw new Error("wrapped", { cause }); }
  }
  field = "instance";
  async task_instance() { console.log(this.field, this instanceof Ends); }
}

export class Unawaited extends Stage {
  static task_green() { run("img", "fine"); }
  static task_red() { run("img", "exit 3"); }
  static task_unchecked() { run("img", "exit 3", { check: false }); }
  static async task_handled() {
    const failing = run("img", "exit 3");
    await sleep(20);
    await failing.catch(() => {});
  }
  static task_chain() { (async () => { await run("img", "one"); await run("img", "exit 4"); })(); }
  static task_late_red() { run("img", "exit 5").finally(() => {}); return run("img", "fine"); }
  static *task_generator() { yield run("img", "exit 4"); }
  static async *task_async_generator() { yield run("img", "exit 4"); }
}

export class Results extends Stage {
  static async task_unchecked() {
    for (const command of ["exit 9", "timeout", "oom", "fine"]) {
      const { ok, reason, exitCode, output, outputBytes } = await run("img", command, { check: false });
      console.log(JSON.stringify({ ok, reason, exitCode, output, outputBytes }));
    }
  }
  static async task_errors() {
    try { await run("img", "exit 6"); } catch (error) {
      console.log(error instanceof CommandFailed, error.message, error.exitCode, error.reason);
    }
    try { await run("img", "fault"); } catch (error) {
      console.log(error instanceof InfrastructureError, error.message, error.hint);
    }
  }
  static task_too_long() { return run("img", "true " + "x".repeat(200_000)); }
  static async task_parallel() {
    await Promise.all(["a", "b", "c"].map((name) => run("http://w:9009", "img", name)));
    await run("img", "d", { env: { A: "1" }, workdir: "/src", user: "1:1", timeout: "90s", cpus: 1.5, memory: "512m", network: false });
  }
}

export class Prints extends Stage {
  static async task_order() {
    console.log("before");
    await run("img", "command");
    console.error("after %d", 1);
    process.stdout.write("no newline");
    process.stderr.write(Buffer.from([0xff, 0x0a]));
  }
  static async task_left() { for (let i = 0; i < 5; i++) { await sleep(1); console.log("left"); } }
  static async task_right() { for (let i = 0; i < 5; i++) { await sleep(1); console.log("right"); } }
  static async task_children() {
    execSync("echo one", { stdio: "inherit" });
    spawnSync("sh", ["-c", "echo two; echo two-and-a-half >&2"], { stdio: "inherit" });
    const child = spawn("echo", ["three"], { stdio: ["ignore", "inherit", "inherit"] });
    await once(child, "close");
    console.log(execSync("echo four").toString().trim());
  }
  static task_verbose_child() {
    execSync("head -c 3000000 /dev/zero | tr '\\\\0' x; echo end", { stdio: "inherit" });
  }
}

stage("environment", { shown() { console.log(JSON.stringify(process.env)); } });
`;

for (const home of homes) {
  test(`how tasks end, in a ${home}`, async (t) => {
    await using repo = await makeRepo({ ".bettertest/pipedef.ts": pipedef });
    await using opened = await openTestHost(repo.path(".bettertest/pipedef.ts"), {
      home,
      env: { ONLY: "this" },
    });
    await opened.load();
    const ends = async (label: string) => (await opened.run(label)).end;
    const failed = (failure: object) => ({ status: "failed", failure });

    await t.test("commands", async () => {
      assert.deepEqual(await ends("Ends.task_passes"), { status: "passed" });
      assert.deepEqual(await opened.run("Ends.task_exit"), {
        end: failed({ kind: "exit", command: "exit 7", exitCode: 7 }),
        output: "<exit 7>\n",
        calls: [{ call: 1, worker: null, image: "img", command: "exit 7" }],
      });
      assert.deepEqual(
        await ends("Ends.task_timeout"),
        failed({ kind: "timeout", command: "timeout", afterMs: 1500 }),
      );
      assert.deepEqual(
        await ends("Ends.task_oom"),
        failed({ kind: "out-of-memory", command: "oom", limitBytes: 64 * MiB }),
      );
      assert.deepEqual(await ends("Ends.task_fault"), {
        status: "errored",
        fault: { message: "the worker is gone", hint: "Start it." },
      });
      assert.equal((await opened.run("Ends.task_instance")).output, "instance true\n");
    });

    await t.test(
      "what a task throws is in its output, with TypeScript lines and causes",
      async () => {
        const thrown = await opened.run("Ends.task_throws");
        assert.deepEqual(
          thrown.end,
          failed({ kind: "thrown", message: "TypeError: no such thing" }),
        );
        assert.match(
          thrown.output,
          /^TypeError: no such thing\n {4}at .*task_throws \(\.bettertest\/pipedef\.ts:13:32\)(.|\n)*\[cause\]: Error: the reason\n {6}at .*pipedef\.ts:13:72/,
        );
        assert.doesNotMatch(thrown.output, /node:internal|dist\/runtime/);
        const text = await opened.run("Ends.task_throws_text");
        assert.deepEqual(text.end, failed({ kind: "thrown", message: "threw just text" }));
        const wrapped = await opened.run("Ends.task_wraps");
        assert.deepEqual(wrapped.end, failed({ kind: "thrown", message: "wrapped" }));
        assert.match(
          wrapped.output,
          /\[cause\]: CommandFailed: exit code 2: exit 2\n.*pipedef\.ts:16:17/,
        );
      },
    );

    await t.test("never green by accident", async () => {
      const green = await opened.run("Unawaited.task_green");
      assert.deepEqual([green.end.status, green.output], ["passed", "<fine>\n"]);
      assert.deepEqual(
        await ends("Unawaited.task_red"),
        failed({ kind: "exit", command: "exit 3", exitCode: 3 }),
      );
      assert.equal((await ends("Unawaited.task_unchecked")).status, "passed");
      assert.equal((await ends("Unawaited.task_handled")).status, "passed");
      assert.deepEqual(
        await ends("Unawaited.task_chain"),
        failed({ kind: "exit", command: "exit 4", exitCode: 4 }),
      );
      assert.deepEqual(
        await ends("Unawaited.task_late_red"),
        failed({ kind: "exit", command: "exit 5", exitCode: 5 }),
      );
      const message = "TypeError: the task is a generator (it has a yield), so nothing of it ran";
      for (const name of ["generator", "async_generator"])
        assert.deepEqual(await ends(`Unawaited.task_${name}`), failed({ kind: "thrown", message }));
    });

    await t.test("results and errors of run", async () => {
      const unchecked = await opened.run("Results.task_unchecked");
      assert.equal(unchecked.end.status, "passed");
      assert.deepEqual(
        unchecked.output
          .split("\n")
          .filter((line) => line.startsWith("{"))
          .map((line) => JSON.parse(line)),
        [
          { ok: false, reason: "exit", exitCode: 9, output: "<exit 9>\n", outputBytes: 9 },
          { ok: false, reason: "timeout", exitCode: null, output: "<timeout>\n", outputBytes: 10 },
          { ok: false, reason: "out-of-memory", exitCode: null, output: "<oom>\n", outputBytes: 6 },
          { ok: true, reason: "exit", exitCode: 0, output: "<fine>\n", outputBytes: 7 },
        ],
      );
      assert.match(
        (await opened.run("Results.task_errors")).output,
        /true exit code 6: exit 6 6 exit\n<fault>\ntrue the worker is gone Start it\./,
      );
      const [tooLong, beside] = await Promise.all([
        opened.run("Results.task_too_long"),
        opened.run("Results.task_unchecked"),
      ]);
      assert.equal(tooLong.end.status, "errored");
      assert.match(JSON.stringify(tooLong.end), /run: command: /);
      assert.equal(beside.end.status, "passed", "a call that nobody takes harms no other task");
      const parallel = await opened.run("Results.task_parallel");
      assert.deepEqual(parallel.calls, [
        ...["a", "b", "c"].map((command, index) => ({
          call: index + 1,
          worker: "http://w:9009",
          image: "img",
          command,
        })),
        {
          call: 4,
          worker: null,
          image: "img",
          command: "d",
          env: { A: "1" },
          workdir: "/src",
          user: "1:1",
          timeoutMs: 90_000,
          cpus: 1.5,
          memoryBytes: 512 * MiB,
          network: false,
        },
      ]);
    });

    await t.test("what is printed goes to the task that prints it, in order", async () => {
      let raw: Uint8Array = new Uint8Array();
      const order = await opened.run("Prints.task_order", {
        io: {
          write: (bytes) => {
            raw = bytes;
            return undefined;
          },
        },
      });
      assert.equal(order.output, "<command>\n");
      assert.deepEqual([...raw], [0xff, 0x0a]);
      assert.match(
        (await opened.run("Prints.task_order")).output,
        /^before\n<command>\nafter 1\nno newline/,
      );
      const [left, right] = await Promise.all([
        opened.run("Prints.task_left"),
        opened.run("Prints.task_right"),
      ]);
      assert.equal(left.output, "left\n".repeat(5));
      assert.equal(right.output, "right\n".repeat(5));
      const verbose = await opened.run("Prints.task_verbose_child");
      assert.deepEqual(verbose.end, { status: "passed" });
      assert.equal(verbose.output.length, 3_000_000 + "end\n".length);
      const children = await opened.run("Prints.task_children");
      assert.equal(children.output, "one\ntwo\ntwo-and-a-half\nthree\nfour\n");
      assert.equal(opened.loadOutput(), "");
    });

    await t.test("process.env holds what was allowed, and nothing else", async () => {
      assert.equal((await opened.run("environment.shown")).output, '{"ONLY":"this"}\n');
    });

    await t.test("a cancelled task ends its commands and is cancelled", async () => {
      const cancel = new AbortController();
      const running = opened.run("Results.task_parallel", {
        signal: cancel.signal,
        io: {
          async call(_call, signal) {
            cancel.abort();
            assert.equal(signal.aborted, true);
            return {
              outcome: { kind: "cancelled" },
              durationMs: 1,
              output: new Uint8Array(),
              outputBytes: 0,
            };
          },
        },
      });
      assert.deepEqual((await running).end, { status: "cancelled" });
      assert.equal((await ends("Ends.task_passes")).status, "passed");
    });
  });
}

test("a line that a thread prints brings no more memory along than it takes", async () => {
  await using repo = await makeRepo({ "pipedef.ts": pipedef });
  await using opened = await openTestHost(repo.path("pipedef.ts"), { home: "thread" });
  await opened.load();
  const sizes: number[] = [];
  const write = (bytes: Uint8Array) => {
    sizes.push(bytes.buffer.byteLength);
    return undefined;
  };
  await opened.run("Prints.task_left", { io: { write } });
  assert.deepEqual(sizes, Array(5).fill("left\n".length));
});
