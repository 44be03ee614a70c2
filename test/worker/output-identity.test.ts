// The bytes that come back through worker and client are those of `docker run`.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { after, test } from "node:test";
import { image, startTestWorker } from "../rig/worker.js";

const worker = await startTestWorker({ executor: "docker" });
after(() => worker[Symbol.asyncDispose]());

// Where a command writes to both stdout and stderr it pauses in between: the engine reads them through two
// pipes, and which is first is otherwise chance, for `docker run` too.
const outputs = {
  "no output": "true",
  "one line": "echo hi",
  "no newline at the end": "printf 'no newline'",
  "only newlines": "printf '\\n\\n\\n'",
  "a progress bar": "for i in 1 2 3; do printf '\\r%d%%' $i; done; echo",
  "carriage return and newline": "printf 'dos\\r\\nlines\\r\\n'",
  colors: "printf '\\033[31mred\\033[0m\\n\\033[2J\\033]0;title\\007'",
  "invalid UTF-8": "printf '\\377\\376\\200abc\\303\\n\\355\\240\\200'",
  "multi-byte characters": "printf 'ünïcödé €🙂\\n'",
  "NUL bytes": "printf 'a\\000b\\000\\000c\\n'; head -c 100000 /dev/zero",
  "every byte": 'i=0; while [ $i -lt 256 ]; do printf "\\\\$(printf %03o $i)"; i=$((i+1)); done',
  "one line of 50 MB": "head -c 50000000 /dev/zero | tr '\\000' x",
  "100,000 lines": "seq 1 100000",
  "stdout and stderr by turns":
    "for i in 1 2 3 4 5; do echo out $i; sleep 0.05; echo err $i >&2; sleep 0.05; done",
  "stderr only": "echo err >&2; printf tail >&2",
  "much, right before a failing exit": "yes output | head -c 2000000; exit 3",
  "a background child that goes on writing": "(while :; do sleep 1; echo late; done) & echo early",
  "output of a killed child":
    "sh -c 'echo before; sleep 0.1; kill -9 $$; echo after'; code=$?; sleep 0.1; echo code $code",
  "what looks like SSE": "printf 'event: done\\ndata: 0\\n\\nid: 5\\n: comment\\n'",
  "what looks like the engine's frames":
    "printf '\\001\\000\\000\\000\\000\\000\\000\\005hello\\002\\000\\000\\000'",
  "writes of a single byte": "i=0; while [ $i -lt 3000 ]; do printf x; i=$((i+1)); done",
  "stdout and stderr opened by name": "echo a > /dev/stdout; sleep 0.1; echo b > /dev/stderr",
  "input that is at its end": "cat; echo $?",
  surroundings: "pwd; id; env | grep -v HOSTNAME | sort; cat /proc/$$/cmdline; ls /",
};

for (const [what, command] of Object.entries(outputs)) {
  test(`${what}: as docker run`, async () => {
    const expected = spawnSync(
      "sh",
      ["-c", 'docker run --rm "$0" sh -c "$1" 2>&1', image, command],
      {
        maxBuffer: 2 ** 28,
        encoding: "buffer",
      },
    );
    const { outcome, output } = await worker.execute(command);
    assert.deepEqual(outcome, { kind: "exited", exitCode: expected.status });
    assert.equal(output.length, expected.stdout.length);
    assert.equal(digest(output), digest(expected.stdout));
  });
}

function digest(bytes: Buffer): string {
  return bytes.length < 10_000
    ? bytes.toString("latin1")
    : createHash("sha256").update(bytes).digest("hex");
}
