import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Digest, dockerRun, image, noDocker } from "../rig/docker.js";
import { type Rig, startRig } from "../rig/rig.js";

/** Output that has broken a CI system somewhere. */
const nasty: Record<string, string> = {
  nothing: "true",
  "no newline at the end": "printf 'a\\nb'",
  "only a newline": "echo",
  "many empty lines": "yes '' | head -n 5000",
  "carriage returns": "for i in 1 2 3 4 5; do printf '%s0%%\\r' $i; sleep 0.02; done; echo done",
  "lines that end in CR LF": "printf 'a\\r\\nb\\r\\n'",
  "ANSI colors and cursor": "printf '\\033[31mred\\033[0m\\033[2K\\033[1A\\033[38;2;1;2;3mx\\n'",
  "an OSC link and a title": "printf '\\033]8;;http://x\\007y\\033]8;;\\007\\033]0;title\\007\\n'",
  "bytes that are not UTF-8": "printf '\\377\\376\\200abc\\303\\050\\n'",
  "every byte": 'i=0; while [ $i -lt 256 ]; do printf "\\\\$(printf %03o $i)"; i=$((i+1)); done',
  "a character in two writes": "printf '\\342\\202'; sleep 0.2; printf '\\254\\n'",
  "NUL bytes": "head -c 100000 /dev/zero",
  "one line of 50 MB": "head -c 52428800 /dev/zero | tr '\\0' x",
  "a hundred thousand lines": "seq 100000",
  "20 MB that do not compress":
    "head -c 20000000 /dev/zero | od -An -v -tx1 2>/dev/null || seq 2000000",
  "standard error alone": "echo oops >&2; printf partial >&2",
  "both streams by turns":
    "for i in 1 2 3 4 5; do echo out$i; sleep 0.05; echo err$i >&2; sleep 0.05; done",
  "a burst right before a red exit": "seq 20000; exit 3",
  "output of a killed command": "seq 1000; kill -9 $$",
  "a child that goes on in the background": "(sleep 0.3; echo late) & echo early; wait",
  "lines that look like events": "printf 'event: done\\ndata: 0\\n\\nid: 7\\n: x\\n'",
  "one byte at a time": "for i in $(seq 200); do printf x; done",
};

const taskNames = Object.keys(nasty);

describe("what comes back through boss and worker is what docker run prints", {
  skip: noDocker(),
}, () => {
  let rig: Rig;
  let run: number;
  before(async () => {
    rig = await startRig({
      executor: "docker",
      slots: 4,
      files: {
        ".bettertest/pipedef.ts": `
          import { run, stage } from "bettertest";
          const commands: Record<string, string> = ${JSON.stringify(nasty)};
          const identity = stage("identity");
          for (const [name, command] of Object.entries(commands)) {
            identity.task(name, () => run("${image}", command));
          }`,
      },
    });
    const started = rig.boss.engine.start({ trigger: "test" });
    assert.ok(started.ok);
    run = started.run;
  });
  after(() => rig[Symbol.asyncDispose]());

  for (const name of taskNames) {
    test(name, async () => {
      const [expected, finished] = await Promise.all([
        dockerRun(nasty[name]!),
        rig.boss.engine.finished(run),
      ]);
      const digest = new Digest();
      const path = `identity/${encodeURIComponent(name)}`;
      const response = await fetch(`${rig.url}/api/runs/${run}/tasks/${path}/output`);
      for await (const chunk of response.body!) digest.update(chunk);
      const end = finished.stages[0]?.tasks.find((task) => task.name === name)?.attempts[0]?.end;
      const exitCode =
        end?.status === "passed"
          ? 0
          : end?.status === "failed" && end.failure.kind === "exit"
            ? end.failure.exitCode
            : end;
      assert.deepEqual({ exitCode, ...digest.result() }, expected);
    });
  }
});
