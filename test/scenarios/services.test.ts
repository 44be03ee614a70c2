// Tests against a real database that each of them has to itself.

import assert from "node:assert/strict";
import { test } from "node:test";
import { findTask } from "../../src/model/run.js";
import { image } from "../rig/docker.js";
import { networksOf, noRedis, redisImage, servicesOf } from "../rig/redis.js";
import { glance, startRig } from "../rig/rig.js";
import { eventually } from "../rig/worker.js";

const skip = noRedis();

/** Redis speaks lines, and bash can open connections: no client is needed. */
const ask = `ask() { exec 3<>/dev/tcp/$1/6379 && printf '%s\\r\\n' "$2" >&3 && IFS= read -r answer <&3 && echo "\${answer%?}"; exec 3>&-; }`;

function pipedef(body: string): Record<string, string> {
  return {
    ".bettertest/pipedef.ts": `import { run, stage, Stage, InfrastructureError } from "bettertest";
      const image = ${JSON.stringify(image)};
      const db = { image: ${JSON.stringify(redisImage)}, ready: "redis-cli ping" };
      const bash = (text) => "bash -c '" + ${JSON.stringify(ask)}.replaceAll("'", "'\\\\''") + "; " + text + "'";
      ${body}`,
  };
}

test("ten tasks at once each have a database of their own, and nothing is left", {
  skip,
}, async () => {
  await using rig = await startRig({
    executor: "docker",
    slots: 10,
    files: pipedef(`const s = stage("s", {}, { services: { db } });
      for (let n = 0; n < 10; n++) {
        s.task("t" + n, () => run(image, bash("ask db \\"SETNX mine " + n + "\\"; ask db DBSIZE; sleep 1; ask db \\"SETNX mine 99\\"; ask db DBSIZE")));
      }`),
  });
  const run = await rig.run();
  assert.deepEqual(
    glance(run),
    Array.from({ length: 10 }, (_, n) => `s.t${n} passed`),
    JSON.stringify(run.stages[0]?.tasks.map(({ attempts }) => attempts.at(-1)?.end)),
  );
  for (let n = 0; n < 10; n++)
    assert.equal(await rig.output(run.id, "s", `t${n}`), ":1\n:1\n:0\n:1\n");
  await eventually(() => networksOf(process.pid).length === 0);
  assert.deepEqual(servicesOf(process.pid), []);
});

test("a service that never gets ready is told as such, and nothing is left", { skip }, async () => {
  await using rig = await startRig({
    executor: "docker",
    files: pipedef(`stage("s", {
        t: () => run(image, "true", { services: { db: { ...db, ready: "echo still waking up; false", timeout: 1.5 } } }),
      });`),
  });
  const run = await rig.run();
  assert.deepEqual(glance(run), ["s.t errored"]);
  const end = findTask(run, { stage: "s", task: "t" })?.attempts[0]?.end;
  assert.ok(end?.status === "errored");
  assert.match(
    end.fault.message,
    /^service "db" was not ready within 1\.5 s: `echo still waking up; false` failed \(still waking up\); it last printed: .*Ready to accept connections/,
  );
  const output = await rig.output(run.id, "s", "t");
  assert.match(output, /db \| .*Ready to accept connections/);
  await eventually(() => networksOf(process.pid).length === 0);
  assert.deepEqual(servicesOf(process.pid), []);
});
