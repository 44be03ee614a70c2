// Files that commands build: built again only where something that they are made of has changed, and used by value.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { Secrets } from "../../src/boss/secrets/secrets.js";
import { attemptNote, filesOf, findTask, type Run } from "../../src/model/run.js";
import type { Artifact } from "../../src/model/test-results.js";
import { tempRepo } from "../cli/rig.js";
import { startBossProcess } from "../rig/boss-process.js";
import { noDocker, removeImages } from "../rig/docker.js";
import { farEngine } from "../rig/far-engine.js";
import { glance, type Rig, startRig } from "../rig/rig.js";
import { eventually, startTestWorker, startWorkerProcess } from "../rig/worker.js";

const noEngine = noDocker();
const label = "bettertest.test.builds";
/** No two runs of these tests may find each other's images. */
const unique = randomBytes(6).toString("hex");
after(() => {
  if (!noEngine) removeImages(`${label}=${unique}`);
});

function noteOf(run: Run, task: string, stage = "Build"): string | null {
  return attemptNote(findTask(run, { stage, task })!);
}

function toldOf(run: Run, task: string, stage = "Build"): string[] {
  return filesOf(findTask(run, { stage, task })!).flatMap(({ notes }) => [...notes]);
}

function endOf(run: Run, task: string, stage = "Build"): string {
  const end = findTask(run, { stage, task })?.attempts.at(-1)?.end;
  if (end?.status === "errored") return `errored: ${end.fault.message}`;
  return end?.status === "failed" ? `failed: ${JSON.stringify(end.failure)}` : `${end?.status}`;
}

async function passes(rig: Rig, ...only: string[]): Promise<Run> {
  const run = await rig.run(only.length > 0 ? { only } : {});
  assert.equal(run.status, "passed", JSON.stringify(run));
  return run;
}

async function artifactsOf(rig: Rig, run: Run, task: string) {
  const path = `/api/runs/${run.id}/artifacts?stage=Build&task=${task}`;
  const { artifacts } = await rig.get<{ artifacts: Artifact[] }>(path);
  return artifacts.map(({ path, bytes, sha256, executable }) => ({
    ...{ path, bytes, sha256, executable },
  }));
}

const compile =
  "ls -A > seen; mkdir -p dist/bin; { cat src/*.txt; echo $MODE; } > dist/app.txt; printf 'echo ran' > dist/bin/go; chmod 755 dist/bin/go; echo compiled";

const files = {
  ".bettertest/pipedef.ts": `
    import { artifacts, build, run, stage, workspace } from "bettertest";
    const image = "bettertest-base";
    const app = () => build(image, ${JSON.stringify(compile)}, {
      source: workspace(), reads: ["src/**", "lock.json"], artifacts: ["dist/**", "seen"], env: { MODE: "fast" },
    });
    stage("Build", {
      app,
      all: () => build(image, "cp -r src out", { source: workspace(), artifacts: "out/**" }),
    });
    stage("Test", {
      alone: async () => { await run(image, "ls; ./dist/bin/go; cat dist/app.txt", { source: await app() }); },
      over: async () => {
        const built = await app();
        console.log(built.cached);
        await run(image, "ls; cat seen", { source: artifacts(built, { over: workspace() }) });
      },
      named: () => run(image, "cat dist/app.txt", { source: artifacts("Build.app") }),
    });`,
  "src/a.txt": "a\n",
  "src/b.txt": "b\n",
  "lock.json": "{}\n",
  "readme.md": "words\n",
};

for (const where of ["process", "docker", "docker, far from this machine's files"] as const) {
  test(`files are built again only where what the command sees has changed (${where})`, {
    skip: where === "process" ? false : noEngine,
  }, async () => {
    using engine = await farEngine();
    const isFar = where.includes("far");
    const executor = where === "process" ? "process" : "docker";
    const at = isFar ? { dockerHost: engine.url } : {};
    await using rig = await startRig({ executor, slots: 4, files, ...at });
    const first = await passes(rig);
    assert.equal(noteOf(first, "app"), null);
    assert.equal(await rig.output(first.id, "Build", "app"), "compiled\n");
    assert.match(
      await rig.output(first.id, "Test", "alone"),
      /^cached: built by run 1 \(Build\.app\), [^\n]*\ndist\nseen\nran\na\nb\nfast\n$/,
    );
    // Of its source the command saw what it reads; and there is all of it where its files are laid over all of it.
    assert.match(
      await rig.output(first.id, "Test", "over"),
      /\ntrue\ndist\nlock\.json\nreadme\.md\nseen\nsrc\nlock\.json\nseen\nsrc\n$/,
    );
    assert.equal(await rig.output(first.id, "Test", "named"), "a\nb\nfast\n");
    // It has run a command, so it is no cached task.
    assert.equal(noteOf(first, "alone", "Test"), null);

    const second = await passes(rig);
    assert.equal(noteOf(second, "app"), "cached, made by run 1");
    assert.equal(noteOf(second, "all"), "cached, made by run 1");
    assert.match(await rig.output(second.id, "Build", "app"), /^cached: built by run 1 [^\n]*\n$/);
    assert.deepEqual(await artifactsOf(rig, second, "app"), await artifactsOf(rig, first, "app"));
    assert.equal(await rig.output(second.id, "Test", "named"), "a\nb\nfast\n");
    const dist = await fetch(
      `${rig.url}/api/runs/${second.id}/artifacts/dist/app.txt?stage=Build&task=app`,
    );
    assert.equal(await dist.text(), "a\nb\nfast\n");

    rig.write("readme.md", "other words\n");
    const unread = await passes(rig, "Build");
    assert.equal(noteOf(unread, "app"), "cached, made by run 1");
    assert.equal(noteOf(unread, "all"), null);

    rig.write("src/a.txt", "A\n");
    const edited = await passes(rig);
    assert.equal(noteOf(edited, "app"), null);
    assert.equal(await rig.output(edited.id, "Test", "named"), "A\nb\nfast\n");

    rig.write("src/a.txt", "a\n");
    const back = await passes(rig, "Build");
    assert.equal(noteOf(back, "app"), "cached, made by run 1");
    assert.equal(noteOf(back, "all"), `cached, made by run ${unread.id}`);
  });
}

test("a build is known by all that its command gets, and by nothing else", async () => {
  const variant = (options: string, command = "echo x > out") =>
    `build("any", ${JSON.stringify(command)}, { ...common, ${options} })`;
  const others: Record<string, string> = {
    command: variant("", "echo y > out"),
    env: variant('env: { B: "2", A: "2" }'),
    files: variant('artifacts: ["out", "none"]'),
    secret: variant('secrets: ["OTHER"]'),
    path: variant('source: workspace({ path: "/src" })'),
    reads: variant('reads: "a.txt"'),
    unread: variant('reads: ["a.txt", "none/**"]'),
    time: variant('timeout: "5m", memory: "1g", cpus: 1, pids: 100'),
    order: variant('env: { B: "2", A: "1" }'),
  };
  const tasks = Object.entries(others).map(([name, text]) => `${name}: () => ${text}`);
  const secrets = { TOKEN: "sesame-1", OTHER: "sesame-2" };
  const rigFiles = {
    ".bettertest/pipedef.ts": `
      import { build, stage, workspace } from "bettertest";
      const common = { source: workspace(), artifacts: "out", env: { A: "1", B: "2" }, secrets: ["TOKEN"] };
      stage("First", { t: () => ${variant("")} });
      stage("Build", { ${tasks.join(",\n")} });`,
    "a.txt": "a",
    "b.txt": "b",
  };
  const named = new Secrets(new Map(Object.entries(secrets)));
  await using rig = await startRig({ files: rigFiles, slots: 4, secrets: named });
  const run = await passes(rig);
  const cached = Object.keys(others).filter((task) => noteOf(run, task) !== null);
  // "reads" and "unread" see the same, so whichever came second has what the first one built.
  assert.deepEqual(
    cached.filter((task) => !task.includes("read")),
    ["time", "order"],
  );
  assert.equal(cached.length, 3, cached.join());
  assert.deepEqual(toldOf(run, "unread"), ["reads: there is no file none/**"]);
  // The next one has all of them, a lacking file and all.
  const again = await passes(rig);
  for (const task of Object.keys(others)) assert.match(noteOf(again, task) ?? "", /^cached/, task);
  assert.deepEqual(toldOf(again, "unread"), ["reads: there is no file none/**"]);
  assert.deepEqual(toldOf(again, "files"), ["artifacts: there is no file none"]);
});

test("what is red, or leaves nothing, or too much, is not kept", async () => {
  await using rig = await startRig({
    maxArtifactBytes: 1000,
    files: {
      ".bettertest/pipedef.ts": `
        import { build, run, stage, workspace } from "bettertest";
        const source = workspace();
        stage("Build", {
          red: () => build("any", "echo x > out; test -s pass.txt", { source, reads: ["pass.txt", "past.txt"], artifacts: "out" }),
          nothing: () => build("any", "true", { source, artifacts: "out" }),
          much: () => build("any", "head -c 2000 /dev/zero > big; echo x > out", { source, artifacts: ["big", "out"] }),
          results: () => build("any", "true", { artifacts: "out", results: "junit.xml" }),
        });`,
      "pass.txt": "",
    },
  });
  for (let round = 1; round <= 2; round++) {
    const run = await rig.run();
    assert.match(endOf(run, "red"), /^failed: .*"exitCode":1/);
    assert.deepEqual(toldOf(run, "red"), ["reads: there is no file past.txt"]);
    assert.match(
      endOf(run, "nothing"),
      /^errored: the command has passed, and left nothing .* out: true$/,
    );
    assert.match(
      endOf(run, "much"),
      /^errored: what was built could not be kept whole: .*big \(.*--max-artifacts/,
    );
    assert.match(endOf(run, "results"), /^failed: .*no option \\"results\\": tests always run/);
  }
  rig.write("pass.txt", "yes");
  assert.equal(noteOf(await passes(rig, "Build.red"), "red"), null);
  assert.equal(noteOf(await passes(rig, "Build.red"), "red"), "cached, made by run 3");
});

test("files with two names are built like others; one that cannot be kept is missed", {
  skip: noEngine,
}, async () => {
  await using rig = await startRig({
    executor: "docker",
    files: {
      ".bettertest/pipedef.ts": `import { build, stage } from "bettertest";
        const built = (command) => build("bettertest-base", "mkdir out; echo ${unique} > out/a; " + command, { artifacts: "out/**" });
        stage("Build", { hard: () => built("cp -l out/a out/b"), symbolic: () => built("cp -s /bin/sh out/b") });`,
    },
  });
  const run = await rig.run({ keepGoing: true });
  assert.equal(endOf(run, "hard"), "passed");
  assert.deepEqual((await artifactsOf(rig, run, "hard")).map(({ path }) => path).sort(), [
    "out/a",
    "out/b",
  ]);
  assert.match(
    endOf(run, "symbolic"),
    /^errored: what was built could not be kept whole: artifacts: out\/b is a link/,
  );
});

test("of those who build the same at a time one does; where it fails, each hears it from its own", async () => {
  using repo = tempRepo({});
  const gate = join(repo.folder, "gate");
  const count = join(repo.folder, "count");
  const command = (end: string) =>
    `echo $MODE >> ${count}; while [ ! -e ${gate} ]; do sleep 0.02; done; echo x > out; ${end}`;
  const three = (name: string, mode: string, end: string) =>
    [1, 2, 3]
      .map(
        (n) =>
          `${name}${n}: () => build("any", ${JSON.stringify(command(end))}, { source: workspace(), artifacts: "out", env: { MODE: "${mode}" } })`,
      )
      .join(",");
  await using rig = await startRig({
    slots: 6,
    files: {
      ".bettertest/pipedef.ts": `
        import { build, stage, workspace } from "bettertest";
        stage("Build", { ${three("green", "green", "true")}, ${three("red", "red", "exit 3")} });`,
    },
  });
  const running = rig.run();
  const tasks = ["green1", "green2", "green3", "red1", "red2", "red3"];
  const waiting = async () => {
    const texts = tasks.map(async (task) =>
      (await fetch(`${rig.url}/api/runs/1/tasks/Build/${task}/output`)).text(),
    );
    return (await Promise.all(texts)).filter((text) => text.includes("Waiting for the")).length;
  };
  // One of each kind runs, and the four others are known to wait.
  await eventually(async () => (await waiting()) === 4);
  repo.write("gate", "");
  const run = await running;
  assert.deepEqual(
    glance(run)
      .map((line) => line.split(" ")[1])
      .sort(),
    [...["failed", "failed", "failed", "passed", "passed", "passed"]],
  );
  const ran = readFileSync(count, "utf8").trim().split("\n").sort();
  assert.deepEqual(ran, ["green", "red", "red", "red"]);
});

test("a worker that lacks what another has built builds it; files go to any of them by value", async () => {
  await using second = await startTestWorker({ executor: "process", log: () => {} });
  await using rig = await startRig({
    files: {
      ".bettertest/pipedef.ts": `
        import { build, run, stage, workspace } from "bettertest";
        const here = (worker) => build(worker, "any", "cat a.txt > out", { source: workspace(), artifacts: "out" });
        stage("Build", {
          first: () => here("WORKER_URL"),
          second: () => here("${second.url}"),
          value: async () => { await run("${second.url}", "any", "cat out", { source: await here("WORKER_URL") }); },
        });`,
      "a.txt": "a\n",
    },
  });
  const first = await passes(rig, "Build.first", "Build.value");
  assert.match(await rig.output(first.id, "Build", "value"), /(^|\n)a\n$/);
  assert.equal(noteOf(await passes(rig, "Build.second"), "second"), null);
  const all = await passes(rig, "Build.first", "Build.second");
  assert.equal(noteOf(all, "first"), "cached, made by run 1");
  assert.equal(noteOf(all, "second"), "cached, made by run 2");
});

test("a pipedef in Python builds files and uses them", async () => {
  await using rig = await startRig({
    files: {
      ".bettertest/pipedef.py": `
from bettertest import CommandFailed, Stage, artifacts, build, run, workspace

def app():
    return build("any", "ls > out", source=workspace(), reads=["src/**"], artifacts=["out"])

class Build(Stage):
    def build_app():
        app()
    def build_wrong():
        try:
            build("any", "true", artifacts=["out"], results="junit.xml")
        except TypeError as error:
            print(error)
        try:
            build("any", "exit 4", artifacts=["out"])
        except CommandFailed as error:
            print(error)
        try:
            build("any", "true", artifacts=["out"], env={"A": 1})
        except ValueError as error:
            print(error)

class Test(Stage):
    def task_value():
        print(app().cached)
        run("any", "cat out", source=app())
        run("any", "ls", source=artifacts(app(), over=workspace()))
`,
      "src/a.txt": "a",
      "b.txt": "b",
    },
  });
  const first = await passes(rig);
  assert.equal(
    await rig.output(first.id, "Build", "build_wrong"),
    [
      "build: there is no option results: tests always run, and a build may not have to. Give results to run()",
      "exit code 4: exit 4",
      "build: env['A'] must be a text, not 1\n",
    ].join("\n"),
  );
  const said = await rig.output(first.id, "Test", "task_value");
  assert.equal(said.replace(/cached: [^\n]*\n/g, ""), "True\nout\nsrc\nb.txt\nout\nsrc\n");
  assert.equal(said.match(/^cached: built by run 1 \(Build\.build_app\), /gm)?.length, 3);
  assert.equal(noteOf(await passes(rig), "build_app"), "cached, made by run 1");
});

test("an image that is built itself is part of what a build is made of", {
  skip: noEngine,
}, async () => {
  const dockerfile = (word: string) =>
    `FROM bettertest-base\nLABEL ${label}=${unique}\nRUN echo ${word} > /word\n`;
  await using rig = await startRig({
    executor: "docker",
    files: {
      ".bettertest/pipedef.ts": `
        import { build, image, stage } from "bettertest";
        stage("Build", {
          app: async () => { await build(await image({ context: "box" }), "mkdir /out; cat /word > /out/word", { workdir: "/out", artifacts: "word" }); },
        });`,
      "box/Dockerfile": dockerfile("first"),
    },
  });
  assert.equal(noteOf(await passes(rig), "app"), null);
  assert.equal(noteOf(await passes(rig), "app"), "cached, made by run 1");
  rig.write("box/Dockerfile", dockerfile("second"));
  const other = await passes(rig);
  assert.equal(noteOf(other, "app"), null);
  const word = await fetch(`${rig.url}/api/runs/${other.id}/artifacts/word`);
  assert.equal(await word.text(), "second\n");
});

test("a boss killed while a command builds has the files after its restart, by value too", async () => {
  await using worker = await startWorkerProcess({ executor: "process", slots: 2 });
  using repo = tempRepo({});
  const gate = join(repo.folder, "gate");
  const command = `while [ ! -e ${gate} ]; do sleep 0.05; done; echo built > out`;
  repo.write(
    ".bettertest/pipedef.ts",
    `import { build, run, stage } from "bettertest";
     stage("s", { t: async () => {
       const built = await build(${JSON.stringify(worker.url)}, "any", ${JSON.stringify(command)}, { artifacts: "out" });
       await run(${JSON.stringify(worker.url)}, "any", "cat out", { source: built });
     } });`,
  );
  const args = ["--data", join(repo.folder, "data"), "--worker", worker.url];
  const first = await startBossProcess(args, repo.folder);
  const id = await first.start();
  await first.sees(id, ({ event }) => event.type === "call-started");
  await first.kill();
  repo.write("gate", "");
  const second = await startBossProcess(args, repo.folder);
  try {
    const run = await second.finished(id);
    assert.equal(run.status, "passed", JSON.stringify(run));
    assert.equal(findTask(run, { stage: "s", task: "t" })?.attempts.length, 1);
    assert.equal(await second.output(id, "s", "t"), "built\n");
  } finally {
    await second.stop();
  }
});
