// Tests against a real database that each of them has to itself.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Secrets } from "../../src/boss/secrets/secrets.js";
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

test("a command with services finds itself by its own name, on their network alone", {
  skip,
}, async () => {
  await using rig = await startRig({
    executor: "docker",
    files: pipedef(
      `stage("s", { self: () => run(image, "grep -c $(cat /etc/hostname) /etc/hosts; grep $(cat /etc/hostname) /etc/hosts", { services: { db } }) });`,
    ),
  });
  const run = await rig.run();
  assert.deepEqual(glance(run), ["s.self passed"], JSON.stringify(run));
  assert.match(await rig.output(run.id, "s", "self"), /^1\n198\.1[89]\.\d+\.\d+\t\w+\n$/);
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

test("what services print is kept beside the task's output, without its secrets", {
  skip,
}, async () => {
  await using rig = await startRig({
    executor: "docker",
    secrets: new Secrets(new Map([["DB_TOKEN", "hush-hush-1234"]])),
    files: pipedef(`
      const talkative = {
        image, secrets: ["DB_TOKEN"], env: { WHO: "db" },
        command: "sh -c 'echo $WHO says $DB_TOKEN; sleep 1000'",
      };
      export class S extends Stage {
        static services = { db: talkative };
        static task_stage() { return run(image, "sleep 1"); }
        static task_own() { return run(image, "true", { services: { cache: db } }); }
        static task_none() { return run(image, "true", { services: {} }); }
      }`),
  });
  const run = await rig.run();
  assert.deepEqual(glance(run), ["S.task_stage passed", "S.task_own passed", "S.task_none passed"]);
  const servicesOfTask = (task: string) =>
    findTask(run, { stage: "S", task })?.attempts[0]?.services?.[1]?.map(({ name }) => name);
  assert.deepEqual(servicesOfTask("task_stage"), ["db"]);
  assert.deepEqual(servicesOfTask("task_own"), ["cache"]);
  assert.equal(servicesOfTask("task_none"), undefined);
  const kept = `/api/runs/${run.id}/tasks/S/task_stage/services`;
  const response = await fetch(`${rig.url}${kept}/db/output?follow=1`);
  assert.equal(await response.text(), "db says **************\n");
  assert.equal(response.headers.get("bettertest-output-length"), "23");
  assert.equal(await (await fetch(`${rig.url}${kept}/db/output?tail=3`)).text(), "**\n");
  const missing = await fetch(`${rig.url}${kept}/cache/output`);
  assert.equal(missing.status, 404);
  assert.match(await missing.text(), /S\.task_stage has no service \\"cache\\"/);
});

test("what cannot be a service is said where the pipedef says it", async () => {
  await using rig = await startRig({
    files: pipedef(`export class S extends Stage {
      static services = { Db: "postgres" };
      static task_t() {}
    }`),
  });
  const run = await rig.run();
  assert.match(run.fault?.message ?? "", /stage S: services: "Db" must be a name of lower-case/);
});

test("a Python pipedef has services too", { skip }, async () => {
  await using rig = await startRig({
    executor: "docker",
    files: {
      ".bettertest/pipedef.py": `from bettertest import Stage, defaults, run
defaults(services={"db": {"image": ${JSON.stringify(redisImage)}, "ready": 6379}})
ask = "bash -c 'exec 3<>/dev/tcp/%s/6379; echo PING >&3; read -r answer <&3; echo $answer'"
class A(Stage):
    def task_default():
        run(${JSON.stringify(image)}, ask % "db")
class B(Stage):
    services = {"cache": {"image": ${JSON.stringify(redisImage)}, "ready": "redis-cli ping", "timeout": "2m"}}
    def task_stage():
        run(${JSON.stringify(image)}, ask % "cache")
    def task_own():
        run(${JSON.stringify(image)}, "true", services={})
`,
    },
  });
  const run = await rig.run();
  assert.deepEqual(glance(run), [
    "A.task_default passed",
    "B.task_stage passed",
    "B.task_own passed",
  ]);
  assert.match(await rig.output(run.id, "B", "task_stage"), /PONG/);
  const services = findTask(run, { stage: "B", task: "task_own" })?.attempts[0]?.services;
  assert.equal(services, undefined);
});

test("a service's image may be built from the code under test", { skip }, async () => {
  await using rig = await startRig({
    executor: "docker",
    files: {
      "greeter/Dockerfile": `FROM ${redisImage}\nRUN echo hello-from-the-code > /greeting\nCMD ["sh", "-c", "cat /greeting; exec redis-server --save '' --protected-mode no"]\n`,
      ".bettertest/pipedef.ts": `import { image, run, stage } from "bettertest";
        stage("s", { t: async () => {
          const greeter = { image: await image({ context: "greeter" }), ready: 6379 };
          await run(${JSON.stringify(image)}, "bash -c 'echo > /dev/tcp/greeter/6379'", { services: { greeter } });
        } });`,
    },
  });
  const run = await rig.run();
  assert.deepEqual(glance(run), ["s.t passed"], JSON.stringify(run.stages[0]?.tasks));
  const kept = `/api/runs/${run.id}/tasks/s/t/services/greeter/output`;
  assert.match(await (await fetch(`${rig.url}${kept}`)).text(), /^hello-from-the-code\n/);
});
