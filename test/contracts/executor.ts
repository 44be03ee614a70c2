// What executors/executor.ts promises, asked of every executor.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Executor, SandboxSpec } from "../../src/worker/executors/executor.js";
import { image } from "../rig/worker.js";

export interface ExecutorUnderTest {
  readonly create: () => Promise<Executor>;
  /** What is left of a sandbox, by its id; nothing after dispose. */
  readonly tracesOf: (sandbox: string) => Promise<string[]>;
}

export function executorContract(name: string, { create, tracesOf }: ExecutorUnderTest): void {
  let executor: Executor;
  before(async () => {
    executor = await create();
  });
  after(() => executor.close());

  async function open(command: string, options: Partial<SandboxSpec> = {}) {
    const io = { signal: new AbortController().signal, progress: () => {} };
    const sandbox = await executor.open({ image, command, ...options }, io);
    return { sandbox, [Symbol.asyncDispose]: () => sandbox.dispose() };
  }

  async function run(command: string, options: Partial<SandboxSpec> = {}) {
    await using opened = await open(command, options);
    const chunks: Uint8Array[] = [];
    const exit = await opened.sandbox.run((chunk) => void chunks.push(chunk));
    return { ...exit, output: Buffer.concat(chunks).toString("latin1") };
  }

  for (const code of [0, 1, 7, 255]) {
    test(`${name}: exit code ${code}`, async () => {
      assert.equal((await run(`exit ${code}`)).exitCode, code);
    });
  }

  test(`${name}: a command ended by a signal counts 128 and the signal's number`, async () => {
    assert.equal((await run(`sh -c 'kill -9 $$'`)).exitCode, 137);
  });

  test(`${name}: stdout and stderr are both output, to the last byte before the exit`, async () => {
    const { output } = await run(
      "printf out; printf err >&2; head -c 3000000 /dev/zero; printf end",
    );
    assert.equal(output.length, 3_000_009);
    assert.ok(output.endsWith("end"));
    assert.equal(
      output.replaceAll("\0", "").split("").sort().join(""),
      "outerrend".split("").sort().join(""),
    );
  });

  test(`${name}: stdin is at its end`, async () => {
    assert.equal((await run("cat; read -r line || echo none")).output, "none\n");
  });

  test(`${name}: stdout and stderr can be opened by name`, async () => {
    assert.equal((await run("echo a > /dev/stdout; echo b")).output, "a\nb\n");
    assert.equal((await run("echo a > /dev/stderr; echo b >&2")).output, "a\nb\n");
  });

  test(`${name}: environment and working directory are as asked`, async () => {
    const env = { GREETING: "hello 'you' \"there\"\n$HOME", EMPTY: "" };
    const { output } = await run('printf "%s|%s|" "$GREETING" "$EMPTY"; env | grep ^EMPTY; pwd', {
      env,
      workdir: "/usr",
    });
    assert.equal(output, `${env.GREETING}||EMPTY=\n/usr\n`);
  });

  test(`${name}: the worker's own environment is not the command's`, async () => {
    process.env.SECRET_OF_THE_WORKER = "s3cret";
    try {
      assert.doesNotMatch((await run("env")).output, /s3cret/);
    } finally {
      delete process.env.SECRET_OF_THE_WORKER;
    }
  });

  test(`${name}: a working directory is nobody else's`, async () => {
    const command = "ls marker 2>/dev/null; touch marker; echo done";
    assert.equal((await run(command)).output, "done\n");
    assert.equal((await run(command)).output, "done\n");
  });

  test(`${name}: SIGTERM can be answered by the command`, async () => {
    await using opened = await open(
      `trap 'echo goodbye; exit 3' TERM; echo ready; while :; do sleep 0.05; done`,
    );
    let output = "";
    const { exitCode } = await opened.sandbox.run((chunk) => {
      if (output === "") opened.sandbox.kill("SIGTERM");
      output += Buffer.from(chunk).toString();
      return undefined;
    });
    assert.equal(exitCode, 3);
    assert.match(output, /^ready\n(.*\n)?goodbye\n(.*\n)?$/);
  });

  test(`${name}: SIGKILL ends what ignores SIGTERM, with its children`, async () => {
    await using opened = await open(`trap '' TERM; sleep 1000 & echo ready; sleep 1000`);
    const exit = await opened.sandbox.run(() => {
      opened.sandbox.kill("SIGTERM");
      opened.sandbox.kill("SIGKILL");
      return undefined;
    });
    assert.equal(exit.exitCode, 137);
  });

  test(`${name}: a kill from before the start is not lost`, async () => {
    await using opened = await open("sleep 1000");
    opened.sandbox.kill("SIGKILL");
    assert.equal((await opened.sandbox.run(() => undefined)).exitCode, 137);
  });

  test(`${name}: who kills hears whether there was something to kill`, async () => {
    await using opened = await open("echo ready; sleep 1000");
    const heard: boolean[] = [];
    await opened.sandbox.run(() => {
      heard.push(opened.sandbox.kill("SIGKILL"));
      return undefined;
    });
    heard.push(opened.sandbox.kill("SIGKILL"));
    assert.deepEqual(heard, [true, false]);
  });

  test(`${name}: a child left in the background ends with the command`, async () => {
    const { output, exitCode } = await run("(sleep 1000; echo late) & echo early; exit 4");
    assert.deepEqual({ output, exitCode }, { output: "early\n", exitCode: 4 });
  });

  test(`${name}: a sink that takes its time holds the command back, and loses nothing`, async () => {
    const size = 20_000_000;
    await using opened = await open(`head -c ${size} /dev/zero; echo end`);
    let taken = 0;
    let most = 0;
    let underWay = 0;
    await opened.sandbox.run((chunk) => {
      underWay += 1;
      most = Math.max(most, underWay);
      return new Promise((resolve) =>
        setImmediate(() => {
          taken += chunk.length;
          underWay -= 1;
          resolve();
        }),
      );
    });
    assert.equal(taken, size + 4);
    assert.equal(most, 1, "the sink was called again before it was ready");
  });

  test(`${name}: dispose removes everything, twice is once, and needs no run`, async () => {
    const { sandbox } = await open("sleep 1000");
    assert.notDeepEqual(await tracesOf(sandbox.id), []);
    await sandbox.dispose();
    await sandbox.dispose();
    assert.deepEqual(await tracesOf(sandbox.id), []);
  });

  test(`${name}: dispose ends a command that still runs`, async () => {
    const { sandbox } = await open("echo ready; sleep 1000");
    let disposed: Promise<void> | undefined;
    const ended = sandbox.run(() => {
      disposed ??= sandbox.dispose();
      return undefined;
    });
    await ended.catch(() => {});
    await disposed;
    assert.deepEqual(await tracesOf(sandbox.id), []);
  });

  test(`${name}: what is given instead of a sandbox is the sandbox, and none is made`, async () => {
    const ids: string[] = [];
    const given = {
      id: "given",
      run: async () => ({ exitCode: 5, outOfMemory: false }),
      kill: () => true,
      dispose: async () => {},
    };
    const io = { signal: new AbortController().signal, progress: () => {} };
    for (const answer of [given, null]) {
      const instead = async (id: string) => {
        ids.push(id);
        return answer;
      };
      const sandbox = await executor.open({ image, command: "exit 6" }, { ...io, instead });
      const { exitCode } = await sandbox.run(() => undefined);
      assert.equal(exitCode, answer ? 5 : 6);
      await sandbox.dispose();
    }
    // By what the image is made of, so that the same has the same.
    assert.equal(ids.length, 2);
    assert.equal(ids[0], ids[1]);
  });

  test(`${name}: an open that is aborted rejects`, async () => {
    const io = { signal: AbortSignal.abort(), progress: () => {} };
    await assert.rejects(executor.open({ image, command: "true" }, io));
  });
}
