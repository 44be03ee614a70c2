// Images whose builds meet trouble: many at a time, cancelled, killed on either side, removed by hand, asked for wrongly.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { after, test } from "node:test";
import { Secrets } from "../../src/boss/secrets/secrets.js";
import { findTask } from "../../src/model/run.js";
import { removeUnusedImages } from "../../src/worker/executors/docker-built-images.js";
import { DockerClient } from "../../src/worker/executors/dockerode.js";
import { startWorker } from "../../src/worker/main.js";
import { tempRepo } from "../cli/rig.js";
import { startBossProcess } from "../rig/boss-process.js";
import { noDocker } from "../rig/docker.js";
import { noOwnEngine, startOwnEngine } from "../rig/engine.js";
import { glance, startRig } from "../rig/rig.js";
import { eventually, startWorkerProcess } from "../rig/worker.js";

const skip = noDocker();
const label = "bettertest.test.images";
/** No two runs of these tests may find each other's images. */
const unique = randomBytes(6).toString("hex");
const from = `FROM bettertest-base\nLABEL ${label}=${unique}\n`;

after(() => {
  if (skip) return;
  const ids = docker("images", "-q", "--filter", `label=${label}=${unique}`).split("\n");
  for (const id of new Set(ids.filter(Boolean))) tryDocker("rmi", "-f", id);
});

test("many who ask for the same image at once share one build", { skip }, async () => {
  await using rig = await startRig({
    executor: "docker",
    slots: 6,
    files: {
      ".bettertest/pipedef.ts": `
        import { image, run, stage } from "bettertest";
        const s = stage("s");
        for (let n = 0; n < 6; n++)
          s.task("t" + n, async () => { await run(await image(), "cat /stamp"); });`,
      Dockerfile: `${from}RUN echo shared; sleep 1; date +%s.%N > /stamp\n`,
    },
  });
  const run = await rig.run();
  assert.equal(run.status, "passed", glance(run).join("\n"));
  const outputs = await Promise.all([0, 1, 2, 3, 4, 5].map((n) => rig.output(1, "s", `t${n}`)));
  const stamps = outputs.map((output) => output.trim().split("\n").at(-1));
  assert.deepEqual(new Set(stamps).size, 1, outputs.join("\n"));
  const builders = outputs.filter(
    (output) => !/^(cached: |Waiting for the same build)/.test(output),
  );
  assert.equal(builders.length, 1, outputs.join("\n"));
});

test("a worker that does not have the image builds it before the command", {
  skip: skip || noOwnEngine(),
}, async () => {
  await using engine = await startOwnEngine();
  const other = await startWorker({ port: 0, dockerHost: engine.address, log: () => {} });
  try {
    await using rig = await startRig({
      executor: "docker",
      files: {
        ".bettertest/pipedef.ts": `
          import { execFileSync } from "node:child_process";
          import { image, run, stage } from "bettertest";
          stage("s", {
            async elsewhere() {
              const built = await image({ worker: "WORKER_URL" });
              await run("WORKER_URL", built, "cat /made");
              await run("${other.url}", built, "cat /made");
            },
            async removed() {
              const built = await image({ worker: "WORKER_URL", target: "first" });
              execFileSync("/usr/bin/env", ["PATH=${process.env.PATH}", "docker", "rmi", "-f", built.name]);
              await run("WORKER_URL", built, "cat /made");
            },
          });`,
        Dockerfile:
          `${from}AS first\nRUN echo made > /made\nFROM first\nCOPY Dockerfile /\n`.replace(
            /base\n(.*)\nAS first/,
            "base AS first\n$1",
          ),
      },
    });
    const run = await rig.run();
    assert.deepEqual(glance(run), ["s.elsewhere passed", "s.removed passed"], JSON.stringify(run));
    const elsewhere = await rig.output(run.id, "s", "elsewhere");
    assert.equal(elsewhere.match(/Successfully built/g)?.length, 2, elsewhere);
    assert.equal(elsewhere.match(/^made$/gm)?.length, 2, elsewhere);
    const removed = await rig.output(run.id, "s", "removed");
    assert.equal(removed.match(/Successfully built/g)?.length, 2, removed);
    assert.match(engine.docker("images"), /bettertest-image/);
  } finally {
    await other.stop();
  }
});

const slow = {
  ".bettertest/pipedef.ts": `
    import { image, stage } from "bettertest";
    stage("s", { slow: () => image() });`,
  Dockerfile: `${from}RUN echo begun in $HOSTNAME; sleep 1000\n`,
};

/** The container in which a step runs. */
async function stepContainer(output: () => Promise<string>): Promise<string> {
  let id = "";
  await eventually(async () => {
    id = /Running in ([0-9a-f]{12})\n.*begun/s.exec(await output())?.[1] ?? "";
    return id !== "";
  }, 60_000);
  return id;
}

test("a run that is cancelled ends its build", { skip }, async () => {
  await using rig = await startRig({ executor: "docker", files: slow });
  const started = rig.boss.engine.start({ trigger: "test" });
  assert.ok(started.ok);
  const path = `${rig.url}/api/runs/${started.run}/tasks/s/slow/output`;
  const container = await stepContainer(async () => (await fetch(path)).text());
  assert.ok(isThere(container));
  rig.boss.engine.cancel(started.run, "test");
  const run = await rig.boss.engine.finished(started.run);
  assert.deepEqual(glance(run), ["s.slow cancelled"]);
  await eventually(() => !isThere(container), 60_000);
});

test("a build whose time is up is ended, and red", { skip }, async () => {
  await using worker = await startWorkerProcess({
    executor: "docker",
    maxima: { timeoutMs: 5_000 },
  });
  await using rig = await startRig({ files: slow, workers: [worker.url], infraRetries: 0 });
  const run = await rig.run();
  assert.deepEqual(glance(run), ["s.slow failed"], JSON.stringify(run));
  const end = findTask(run, { stage: "s", task: "slow" })?.attempts.at(-1)?.end;
  assert.ok(end?.status === "failed" && end.failure.kind === "timeout", JSON.stringify(end));
});

test("a worker that is killed in the middle of a build leaves no container, and nothing that is served", {
  skip,
}, async () => {
  const files = { ...slow, Dockerfile: `${from}RUN echo begun; sleep \${PAUSE:-1000}; exit 0\n` };
  let worker = await startWorkerProcess({ executor: "docker", slots: 1 });
  try {
    await using rig = await startRig({
      files,
      workers: [worker.url],
      infraRetries: 0,
      workerLeaseMs: 500,
    });
    const started = rig.boss.engine.start({ trigger: "test" });
    assert.ok(started.ok);
    const path = `${rig.url}/api/runs/${started.run}/tasks/s/slow/output`;
    const container = await stepContainer(async () => (await fetch(path)).text());
    await worker.kill();
    const run = await rig.boss.engine.finished(started.run);
    assert.deepEqual(glance(run), ["s.slow errored"]);
    await eventually(() => !isThere(container), 60_000);
    worker = await startWorkerProcess({ executor: "docker", slots: 1 });
    await using next = await startRig({ files, workers: [worker.url] });
    const again = next.boss.engine.start({ trigger: "test" });
    assert.ok(again.ok);
    // It does not take half an image for the whole.
    const step = await stepContainer(async () =>
      (await fetch(`${next.url}/api/runs/${again.run}/tasks/s/slow/output`)).text(),
    );
    next.boss.engine.cancel(again.run, "test");
    await eventually(() => !isThere(step), 60_000);
  } finally {
    await worker.kill();
  }
});

test("an engine that goes away in the middle of a build makes no red task", {
  skip: skip || noOwnEngine(),
}, async () => {
  await using engine = await startOwnEngine();
  await using rig = await startRig({
    executor: "docker",
    dockerHost: engine.address,
    infraRetries: 0,
    files: slow,
  });
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    const started = rig.boss.engine.start({ trigger: "test" });
    assert.ok(started.ok);
    const path = `${rig.url}/api/runs/${started.run}/tasks/s/slow/output`;
    await stepContainer(async () => (await fetch(path)).text());
    await engine.end(signal);
    const run = await rig.boss.engine.finished(started.run);
    assert.deepEqual(glance(run), ["s.slow errored"], JSON.stringify(run));
    await engine.start();
    assert.doesNotMatch(engine.docker("images"), /bettertest-image +[0-9a-f]{32}/);
    await eventually(async () => rig.worker.info().problem === null, 60_000);
  }
});

test("a boss that is killed in the middle of a build goes on with it", { skip }, async () => {
  await using worker = await startWorkerProcess({ executor: "docker", slots: 2, poolMax: 0 });
  using repo = tempRepo({
    ".bettertest/pipedef.ts": `import { image, run, stage } from "bettertest";
      stage("s", { async t() {
        console.log("begin");
        const built = await image();
        await run(built, "cat /stamp");
        await run(built, "sleep 1; cat /stamp");
        console.log("end");
      } });`,
    ".bettertestignore": "data\n",
    Dockerfile: `${from}RUN echo building; sleep 2; date +%s.%N > /stamp\n`,
  });
  const start = () =>
    startBossProcess(["--data", join(repo.folder, "data"), "--worker", worker.url], repo.folder);
  let boss = await start();
  try {
    const id = await boss.start();
    await boss.sees(id, ({ event }) => event.type === "call-started");
    await eventually(async () => /building/.test(await boss.output(id, "s", "t")), 60_000);
    await boss.kill();
    boss = await start();
    await boss.sees(id, ({ event }) => event.type === "call-started" && event.call === 3);
    await boss.kill();
    boss = await start();
    const run = await boss.finished(id);
    const task = findTask(run, { stage: "s", task: "t" });
    assert.equal(task?.status, "passed", JSON.stringify(run));
    assert.equal(task.attempts.length, 1, JSON.stringify(task));
    const output = await boss.output(id, "s", "t");
    assert.equal(output.match(/^building$/gm)?.length, 1, output);
    assert.equal(output.match(/Successfully built/g)?.length, 1, output);
    const stamps = output.match(/^\d+\.\d{9}$/gm) ?? [];
    assert.equal(stamps.length, 2, output);
    assert.equal(stamps[0], stamps[1]);
    assert.match(output, /^begin\n.*\nend\n$/s);
    assert.equal(await boss.stop(), 0);
  } finally {
    await boss.kill();
  }
});

test("what cannot be built says why", { skip }, async () => {
  await using rig = await startRig({
    executor: "docker",
    slots: 4,
    secrets: new Secrets(new Map([["TOKEN", "very-secret-value"]])),
    files: {
      ".bettertest/pipedef.ts": `
        import { image, run, stage } from "bettertest";
        stage("s", {
          secret: () => image({ args: { NPM_TOKEN: "very-" + "secret-value" } }),
          secrets: () => image({ secrets: ["TOKEN"] } as object),
          mount: () => image({ dockerfile: "mount.Dockerfile" }),
          here: () => image({ dockerfile: "here.Dockerfile" }),
          missing: () => image({ context: "none" }),
          nowhere: () => image({ dockerfile: "none.Dockerfile" }),
          base: () => image({ dockerfile: "base.Dockerfile" }),
          copy: () => image({ dockerfile: "copy.Dockerfile" }),
          outside: () => image({ context: "../x" }),
          late: () => image({ dockerfile: "late.Dockerfile", timeout: "2s" }),
          promise: () => run(image({ dockerfile: "copy.Dockerfile" }).catch(() => "") as never, "true"),
          caught: () => image({ dockerfile: "copy.Dockerfile" }).catch((e) => console.log(e.name, e.exitCode)),
        });`,
      Dockerfile: `${from}`,
      "mount.Dockerfile": `${from}RUN --mount=type=cache,target=/x true\n`,
      "here.Dockerfile": `${from}RUN <<EOF\necho hi\nEOF\n`,
      "base.Dockerfile": "FROM localhost:1/there/is-none\n",
      "copy.Dockerfile": `${from}COPY none /\n`,
      "late.Dockerfile": `${from}RUN sleep 1000\n`,
    },
  });
  const run = await rig.run();
  const endOf = (task: string) => {
    const end = findTask(run, { stage: "s", task })?.attempts[0]?.end;
    return end?.status === "failed"
      ? `failed: ${JSON.stringify(end.failure)}`
      : `${end?.status}: ${end?.status === "errored" ? end.fault.message : ""}`;
  };
  assert.match(endOf("secret"), /^errored: the build argument NPM_TOKEN holds a secret, which/);
  assert.match(
    endOf("secrets"),
    /^failed: .*there is no option \\"secrets\\".*Give secrets to run/,
  );
  assert.match(endOf("mount"), /^failed: .*at step 3\/3: RUN --mount.*This needs BuildKit/);
  assert.match(endOf("here"), /^failed: .*unknown instruction: ECHO.*This needs BuildKit/i);
  assert.match(endOf("missing"), /^failed: .*there is no folder none in the source \(context\)/);
  assert.match(endOf("nowhere"), /^failed: .*there is no file none.Dockerfile in the source/);
  assert.match(endOf("base"), /^errored: image "localhost:1\/there\/is-none" could not be pulled/);
  assert.match(endOf("copy"), /^failed: .*at step 3\/3: COPY none \/ \(COPY failed: .*none/);
  assert.match(endOf("outside"), /^failed: .*image: context must stay in the source/);
  assert.match(endOf("late"), /^failed: .*"kind":"timeout".*"afterMs":2000/);
  assert.match(endOf("promise"), /^failed: .*is there an await missing before image\?/);
  assert.equal(endOf("caught"), "passed: ");
  assert.match(await rig.output(run.id, "s", "caught"), /CommandFailed 1\n$/);
});

test("a worker without an engine says that it cannot build", async () => {
  await using rig = await startRig({ executor: "process", files: slow });
  const run = await rig.run();
  const end = findTask(run, { stage: "s", task: "slow" })?.attempts[0]?.end;
  assert.ok(end?.status === "errored");
  assert.match(end.fault.message, /an image can only be built where there is a Docker engine/);
});

test("of built images the least used go first, and never one in use", { skip }, async () => {
  const repo = `bettertest-test-${unique}`;
  const keyOf = (n: number) => String(n).repeat(32);
  const names = [1, 2, 3, 4].map((n) => `${repo}:${keyOf(n)}`);
  const part = `${repo}:part-${keyOf(1)}-0-0`;
  const build = (text: string, name: string) =>
    execFileSync("docker", ["build", "-q", "-t", name, "-"], { input: text, stdio: "pipe" });
  for (const [n, name] of names.entries()) build(`${from}ENV NUMBER=${n}\n`, name);
  // The second is used again, so it is the youngest; the third is in use.
  docker("tag", names[0]!, part);
  for (const name of names) docker("tag", name, name);
  docker("tag", names[1]!, names[1]!);
  const container = docker("run", "-d", names[2]!, "sleep", "1000").trim();
  const client = new DockerClient();
  const left = () =>
    docker("images", "--format", "{{.Repository}}:{{.Tag}}", repo).trim().split("\n").sort();
  try {
    const all = [...names, part].sort();
    await removeUnusedImages(client, { repo, maxBytes: 2 ** 40 });
    assert.deepEqual(left(), all);
    // All were used a moment ago.
    await removeUnusedImages(client, { repo, maxBytes: 0 });
    assert.deepEqual(left(), all);
    const now = Date.now() + 3_600_000;
    await removeUnusedImages(client, { repo, maxBytes: 2 ** 40, most: 3, now });
    assert.deepEqual(left(), [names[1], names[2], names[3]].sort());
    await removeUnusedImages(client, { repo, maxBytes: 2 ** 40, most: 2, now });
    assert.deepEqual(left(), [names[1], names[2]].sort());
    await removeUnusedImages(client, { repo, maxBytes: 0, now });
    assert.deepEqual(left(), [names[2]]);
  } finally {
    docker("rm", "-f", container);
    for (const name of [...names, part]) tryDocker("rmi", name);
  }
});

function isThere(container: string): boolean {
  return docker("ps", "-aq", "--filter", `id=${container}`).trim() !== "";
}

function tryDocker(...words: string[]): void {
  try {
    docker(...words);
  } catch {
    // It went with another one.
  }
}

function docker(...words: string[]): string {
  return execFileSync("docker", words, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}
