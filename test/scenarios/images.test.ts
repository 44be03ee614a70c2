// Images of the code under test: built by the worker, again only where something that they are made of has changed.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { describeFailure } from "../../src/model/failure.js";
import { attemptNote, findTask, type Run } from "../../src/model/run.js";
import { noDocker, removeImages } from "../rig/docker.js";
import { glance, startRig } from "../rig/rig.js";
import { eventually } from "../rig/worker.js";

const skip = noDocker();
/** No two runs of these tests may find each other's images. */
const unique = randomBytes(6).toString("hex");

after(() => {
  if (!skip) removeImages(`${label}=${unique}`);
});

const label = "bettertest.test.images";
const dockerfile = `FROM bettertest-base\nLABEL ${label}=${unique}\n`;

const pipedef = `
  import { defaults, image, run, stage, workspace } from "bettertest";
  const app = () => image({ context: "app", args: { GREETING: "hello" } });
  stage("build", { app });
  stage("test", {
    reads: async () => { await run(await app(), "cat /app/code.txt /greeting; ls -A /app"); },
    again: async () => { await run(await app(), "cat /app/code.txt"); },
  });`;

const files = {
  ".bettertest/pipedef.ts": pipedef,
  "app/Dockerfile": `${dockerfile}ARG GREETING\nRUN echo $GREETING > /greeting\nCOPY . /app\n`,
  "app/.dockerignore": "# of no use\n*.log\nDockerfile\n.dockerignore\n",
  "app/code.txt": "first\n",
  "app/noise.log": "noise\n",
  "other.txt": "outside\n",
};

test("an image is built again only where something that it is made of has changed", {
  skip,
}, async () => {
  await using rig = await startRig({ executor: "docker", slots: 4, files });
  const first = await rig.run();
  assert.deepEqual(
    glance(first),
    ["build.app passed", "test.reads passed", "test.again passed"],
    JSON.stringify(first),
  );
  assert.equal(noteOf(first, "build", "app"), null);
  assert.match(await rig.output(first.id, "build", "app"), /Step 3\/\d+ : ARG GREETING/);
  const output = await rig.output(first.id, "test", "reads");
  assert.match(output, /^cached: bettertest-image:[0-9a-f]{32} was made by run 1 \(build\.app\)/);
  assert.match(output, /^cached: [^\n]*\nfirst\nhello\ncode\.txt\n$/);
  // It ran a command, so it is no cached task.
  assert.equal(noteOf(first, "test", "reads"), null);

  const second = await rig.run({ only: ["build"] });
  assert.equal(noteOf(second, "build", "app"), "cached, made by run 1");

  rig.write("app/noise.log", "louder\n");
  rig.write("other.txt", "changed\n");
  rig.write("app/.dockerignore", `${files["app/.dockerignore"]}# said otherwise\n`);
  const ignored = await rig.run({ only: ["build"] });
  assert.equal(noteOf(ignored, "build", "app"), "cached, made by run 1");

  rig.write("app/code.txt", "second\n");
  const edited = await rig.run();
  assert.equal(noteOf(edited, "build", "app"), null);
  assert.match(await rig.output(edited.id, "test", "again"), /\nsecond\n$/);

  rig.write("app/code.txt", "first\n");
  const back = await rig.run({ only: ["build"] });
  assert.equal(noteOf(back, "build", "app"), "cached, made by run 1");
});

test("an image is not kept as one of a base that has changed while it was built", {
  skip,
}, async () => {
  const base = `bettertest-test-base-${unique}`;
  const docker = (...args: string[]) => execFileSync("docker", args, { encoding: "utf8" }).trim();
  const [first, second] = ["one", "two"].map((which) => {
    const input = `${dockerfile}RUN echo ${which} > /which\n`;
    return execFileSync("docker", ["build", "-q", "-"], { input, encoding: "utf8" }).trim();
  });
  docker("tag", first!, base);
  try {
    await using rig = await startRig({
      executor: "docker",
      files: {
        ".bettertest/pipedef.ts": `import { image, run, stage } from "bettertest";
          stage("build", { app: async () => { await run(await image({ context: "app" }), "cat /which"); } });`,
        "app/Dockerfile": `FROM ${base}\nLABEL ${label}=${unique}\nRUN echo building; sleep 3\n`,
      },
    });
    const started = rig.boss.engine.start({ trigger: "test" });
    assert.ok(started.ok);
    const running = (command: string) =>
      docker("ps", "--no-trunc", "--format", "{{.Command}}").includes(command);
    await eventually(() => running("echo building"));
    docker("tag", second!, base);
    const run = await rig.boss.engine.finished(started.run);
    assert.deepEqual(glance(run), ["build.app passed"], JSON.stringify(run));
    const output = await rig.output(run.id, "build", "app");
    assert.match(output, /has changed while it was built/);
    assert.match(output, /\ntwo\n$/);
    // Under the name that it would have been given first there is nothing.
    docker("tag", first!, base);
    const back = await rig.run();
    assert.doesNotMatch(await rig.output(back.id, "build", "app"), /^cached: .* by run 1 /);
    assert.match(await rig.output(back.id, "build", "app"), /\none\n$/);
  } finally {
    docker("rmi", "-f", base);
  }
});

test("a pipedef in Python builds, and a build that fails is red and names its step", {
  skip,
}, async () => {
  await using rig = await startRig({
    executor: "docker",
    files: {
      ".bettertest/pipedef.py": `
from bettertest import CommandFailed, Stage, image, run

class Build(Stage):
    def build_app():
        run(image(context="app", target="made"), "cat /made")

    def build_red():
        image(context="app", dockerfile="red.Dockerfile", args={"WHAT": "nothing"})

    def build_given(name):
        raise Exception("a helper is no task")

class Test(Stage):
    always = True

    def task_red():
        try:
            image(context="app", dockerfile="red.Dockerfile", args={"WHAT": "nothing"})
        except CommandFailed as failed:
            print(failed)
`,
      "app/Dockerfile": `FROM bettertest-base AS First\n${dockerfile.slice(21)}RUN echo py > /made\nFROM first AS made\nFROM scratch\nCOPY no /\n`,
      "red.Dockerfile": `${dockerfile}ARG WHAT\nRUN echo $WHAT && exit 3\n`,
    },
  });
  const run = await rig.run({ keepGoing: true });
  assert.deepEqual(
    glance(run),
    ["Build.build_app passed", "Build.build_red failed", "Test.task_red passed"],
    JSON.stringify(run),
  );
  assert.match(await rig.output(run.id, "Build", "build_app"), /\npy\n$/);
  const red = findTask(run, { stage: "Build", task: "build_red" })?.attempts[0]?.end;
  assert.ok(red?.status === "failed");
  const words =
    /^the image could not be built at step 4\/\d+: RUN echo \$WHAT && exit 3 \(The command '.*' returned a non-zero code: 3\): docker build -f red.Dockerfile --build-arg WHAT app$/;
  assert.match(describeFailure(red.failure), words);
  assert.match(
    (await rig.output(run.id, "Test", "task_red")).trim().split("\n").at(-1) ?? "",
    words,
  );
});

test("the build sees what docker build sees", { skip }, async () => {
  const text = `${dockerfile}COPY . /context\nCOPY deep/only.sh /bin/only\n`;
  await using rig = await startRig({
    executor: "docker",
    files: {
      ".bettertest/pipedef.ts": `
        import { image, run, stage } from "bettertest";
        stage("s", {
          inside: () => image({ context: "context" }),
          // Not in its context, with an ignore file of its own; and one that is left out itself.
          outside: async () => {
            await run(await image({ context: "context", dockerfile: "other/Dockerfile" }),
              "cd /context; ls -A; ls -A deep; test ! -e Dockerfile.dockerignore");
          },
          hidden: async () => {
            await run(await image({ context: "context", dockerfile: "context/hidden.Dockerfile" }), "ls -A /context");
          },
        });`,
      "context/Dockerfile": text,
      "context/hidden.Dockerfile": text,
      "context/.dockerignore":
        "# words\n*.log\n**/*.tmp\nskip\n!skip/kept.txt\nhidden*\n!deep/once.log\n",
      "context/a.log": "log",
      "context/deep/once.log": "log",
      "context/deep/only.sh": "echo only",
      "context/deep/er/x.tmp": "tmp",
      "context/deep/er/grün und.txt": "ü",
      "context/skip/gone.txt": "gone",
      "context/skip/kept.txt": "kept",
      [`context/${"long".repeat(20)}/${"name".repeat(30)}`]: "long",
      "other/Dockerfile": text,
      "other/Dockerfile.dockerignore": "skip\ndeep/er\nhidden.Dockerfile\n",
    },
  });
  const context = join(rig.folder, "repo/context");
  chmodSync(join(context, "deep/only.sh"), 0o755);
  mkdirSync(join(context, "empty"), { mode: 0o750 });
  symlinkSync("deep/only.sh", join(context, "link"));
  symlinkSync("nowhere", join(context, "dangling"));
  const run = await rig.run();
  assert.deepEqual(
    glance(run),
    ["s.inside passed", "s.outside passed", "s.hidden passed"],
    JSON.stringify(run),
  );
  const built = findTask(run, { stage: "s", task: "inside" })?.attempts[0]?.builds?.[1];
  assert.ok(built?.kind === "made");
  const theirs = `bettertest-test-${unique}`;
  docker("build", "-q", "-t", theirs, context);
  try {
    assert.equal(filesOf(built.image), filesOf(theirs));
  } finally {
    docker("rmi", "-f", theirs);
  }
  const outside = await rig.output(run.id, "s", "outside");
  assert.match(outside, /\n\.dockerignore\nDockerfile\na\.log\ndangling\ndeep\nempty\nlink\nlong/);
  assert.match(outside, /\nonce\.log\nonly\.sh\n$/);
  const hidden = await rig.output(run.id, "s", "hidden");
  assert.match(
    hidden,
    /\n\.dockerignore\nDockerfile\ndangling\ndeep\nempty\nlink\nlong\w+\nskip\n$/,
  );
});

/** With modes, owners and targets, without times. */
function filesOf(image: string): string {
  const container = docker("create", image).trim();
  try {
    const script = `docker cp ${container}:/context - | tar -tvf - --numeric-owner`;
    const list = execFileSync("sh", ["-c", script], { encoding: "utf8" });
    return list.replace(/ +(\d+) \d{4}-\d\d-\d\d \d\d:\d\d /g, " $1 ").trim();
  } finally {
    docker("rm", container);
  }
}

function noteOf(run: Run, stage: string, name: string): string | null {
  const task = findTask(run, { stage, task: name });
  assert.equal(task?.status, "passed", JSON.stringify(task));
  return attemptNote(task);
}

function docker(...words: string[]): string {
  return execFileSync("docker", words, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}
