// Tasks that take all they can get: contained, and named for what they did.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { describeFailure } from "../../src/model/failure.js";
import { findTask } from "../../src/model/run.js";
import { image, noDocker } from "../rig/docker.js";
import { startRig } from "../rig/rig.js";
import { startTestWorker } from "../rig/worker.js";

describe("in containers", { skip: noDocker() }, () => {
  test("a fork bomb and a memory hog end red in their own tasks, by their names", async () => {
    await using rig = await startRig({
      executor: "docker",
      slots: 3,
      files: {
        ".bettertest/pipedef.ts": `
          import { run, stage } from "bettertest";
          const s = stage("s");
          // It stays to its end: a bomb that is left alone may burn out before it has met its limit.
          const bomb = "bash -c ':(){ :|:& };: ; exec sleep 600'";
          s.task("bomb", () => run("${image}", bomb, { pids: 32, timeout: "4s", cpus: 0.5 }));
          s.task("ends", () => run("${image}", "bash -c 'for i in 1 2 3 4 5 6 7 8; do sleep 600 & done; exit 5'", { pids: 6 }));
          s.task("hog", () => run("${image}", "tail /dev/zero", { memory: "32m" }));
          s.task("greedy", () => run("${image}", "awk 'BEGIN { s = \\"x\\"; while (1) s = s s }'", { memory: "32m" }));
          s.task("calm", () => run("${image}", "for i in 1 2 3; do echo $i; sleep 0.3; done"));`,
      },
    });
    const run = await rig.run();
    const words = (task: string) => {
      const end = findTask(run, { stage: "s", task })?.attempts.at(-1)?.end;
      return end?.status === "failed" ? describeFailure(end.failure) : JSON.stringify(end);
    };
    assert.match(words("bomb"), /^timed out after 4 s \(hit the limit of 32 processes\): bash/);
    assert.match(words("ends"), /^exit code \d+ \(hit the limit of 6 processes\): bash/);
    assert.match(words("hog"), /^out of memory \(limit 32 MiB\): tail/);
    assert.match(words("greedy"), /^out of memory \(limit 32 MiB\): awk/);
    assert.equal(words("calm"), '{"status":"passed"}');
  });

  test("a worker gives its most to whoever names no limit, and no more to whoever does", async () => {
    await using worker = await startTestWorker({
      executor: "docker",
      maxima: { memoryBytes: 24 * 2 ** 20, cpus: 0.5, pids: 9, timeoutMs: 5_000 },
    });
    const limits =
      "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max";
    const { output } = await worker.execute(limits);
    // The shell that waits for the command is one more.
    assert.equal(output.toString(), `${24 * 2 ** 20}\n10\n`);
    assert.deepEqual((await worker.execute("sleep 100", { timeoutMs: 200 })).outcome, {
      kind: "timed-out",
      afterMs: 200,
    });
    for (const [asked, words] of [
      [{ memoryBytes: 2 ** 30 }, /memoryBytes: 1.0 GiB is more than .*--max-memory 24.0 MiB/],
      [{ cpus: 2 }, /cpus: 2 is more than .*--max-cpus 0.5/],
      [{ cpus: 1e-10 }, /cpus: Too small/],
      [{ pids: 10 }, /pids: 10 is more than .*--max-pids 9/],
      [{ timeoutMs: 60_000 }, /timeoutMs: 1 min 0 s is more than .*--max-timeout 5/],
    ] as const) {
      const { outcome } = await worker.execute("true", asked);
      assert.ok(outcome.kind === "faulted" && !outcome.workerLost, JSON.stringify(outcome));
      assert.match(outcome.message, words);
    }
  });

  test("a container has Docker's default capabilities alone, gains no privilege, and sees no engine", async () => {
    await using worker = await startTestWorker({ executor: "docker" });
    const { output } = await worker.execute(
      "grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; ls /var/run/docker.sock /dev/kmsg /dev/mem 2>&1 | grep -c 'No such'; cat /proc/mounts | grep -c '^/dev/[a-z]*[0-9]* /[^e]'",
    );
    assert.equal(
      output.toString(),
      "CapBnd:\t00000000a80425fb\nNoNewPrivs:\t1\nSeccomp:\t2\n3\n0\n",
    );
  });
});
