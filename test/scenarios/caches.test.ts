// Folders that outlive the command which has made them.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Run } from "../../src/model/run.js";
import { filesOf } from "../../src/model/run.js";
import { farEngine } from "../rig/far-engine.js";
import { glance, type Rig, startRig } from "../rig/rig.js";

function notesOf(run: Run, task: string): string[] {
  for (const stage of run.stages) {
    const found = stage.tasks.find(({ name }) => name === task);
    if (found) return filesOf(found).flatMap(({ notes }) => [...notes]);
  }
  throw new Error(`there is no task ${task}`);
}

async function runs(rig: Rig, ...only: string[]): Promise<Run> {
  const run = await rig.run({ only: only.map((name) => `s.${name}`) });
  assert.deepEqual(
    glance(run).filter((line) => !line.endsWith("passed") && !line.endsWith("waiting")),
    [],
    JSON.stringify(run),
  );
  return run;
}

const install =
  "test -e deps/a/one || { mkdir -p deps/a deps/b; echo installed > deps/a/one; (cd deps/b; cp -s ../a/one link); touch -d 2020-01-02 deps/a/one; chmod 750 deps/b; echo did; }";

const pipedef = `
  import { defaults, hashFiles, none, run, stage, workspace } from "bettertest";
  defaults({ source: workspace() });
  const cache = { key: \`deps-\${hashFiles("lock.json")}\`, paths: ["deps"] };
  const image = "bettertest-base";
  stage("s", {
    uses: () => run(image, ${JSON.stringify(`${install}; cat deps/b/link; ls -ld deps/b | cut -c1-10; date -u -r deps/a/one +%Y`)}, { cache }),
    ruins: () => run(image, "rm -r deps; mkdir deps; echo mine > deps/x; mv deps gone; test ! -e deps", { cache }),
    renews: () => run(image, "test -e deps/a/one; echo more >> deps/a/one; ls deps/b", { cache }),
    red: () => run(image, "mkdir -p deps; echo bad > deps/bad; exit 1", { cache: { key: "red", paths: ["deps"] }, check: false }),
    afterRed: () => run(image, "test ! -e deps", { cache: { key: "red", paths: ["deps"] } }),
    part: () => run(image, "cat deps/a/one; echo two > deps/a/two", { cache: { ...cache, key: "deps-other", restoreKeys: ["none-", "deps-"] } }),
    typo: () => run(image, "true", { cache: { key: hashFiles("lick.json"), paths: ["deps"] } }),
    file: () => run(image, "test -e state || echo kept > state; cat state", { cache: { key: "file", paths: ["state", "code"] } }),
  });`;

const files = {
  ".bettertest/pipedef.ts": pipedef,
  "lock.json": "1",
  "code/a.txt": "a",
};

for (const executor of ["process", "docker"] as const) {
  test(`a command finds what one before it has installed, and its own copy (${executor})`, async () => {
    await using rig = await startRig({ executor, slots: 4, files });
    const first = await runs(rig, "uses");
    assert.match(notesOf(first, "uses").join(), /^cache miss: deps; saved, [\d.]+ KiB$/);
    const missed = await rig.output(first.id, "s", "uses");
    assert.match(missed, /^did\ninstalled\n/);

    const second = await runs(rig, "uses");
    assert.match(notesOf(second, "uses").join(), /^cache hit: deps, [\d.]+ KiB$/);
    assert.equal(`did\n${await rig.output(second.id, "s", "uses")}`, missed);

    // Whoever deletes and rewrites it does so with its own.
    await runs(rig, "ruins", "renews", "uses");
    const third = await runs(rig, "uses");
    assert.match(await rig.output(third.id, "s", "uses"), /^installed\ndrwxr-x---\n2020\n/);

    const red = await runs(rig, "red");
    assert.equal(
      notesOf(red, "red").join(),
      "cache miss: deps; not saved: the command did not pass",
    );
    assert.match(
      notesOf(await runs(rig, "afterRed"), "afterRed").join(),
      /not saved: nothing is there/,
    );

    const part = await runs(rig, "part");
    assert.match(
      notesOf(part, "part").join(),
      /^cache hit in part: deps, [\d.]+ KiB of deps-[0-9a-f]{20}; saved, [\d.]+ KiB$/,
    );
    assert.match(
      notesOf(await runs(rig, "typo"), "typo").join(),
      /^cache not used: deps: hashFiles: there is no file lick.json$/,
    );
    assert.match(notesOf(await runs(rig, "file"), "file").join(), /saved/);
    const file = await runs(rig, "file");
    assert.match(notesOf(file, "file").join(), /^cache hit: state and code/);
    assert.equal(await rig.output(file.id, "s", "file"), "kept\n");

    rig.write("lock.json", "2");
    assert.match(notesOf(await runs(rig, "uses"), "uses").join(), /^cache miss: deps; saved/);
  });
}

const elsewhere = `
  import { hashFiles, run, stage, workspace } from "bettertest";
  const image = "bettertest-base";
  const look = (path) => "test -e P/a/one && echo found || { mkdir -p P/a; echo P > P/a/one; }".replaceAll("P", path);
  stage("s", {
    absolute: () => run(image, look("/root/.npm"), { cache: { key: hashFiles("lock.json"), paths: "/root/.npm" } }),
    relative: () => run(image, look("here/deps"), { cache: { key: "k", paths: ["here/deps"] } }),
    nobody: () => run(image, look("/home/own"), { user: "65534:65534", cache: { key: "k", paths: ["/home/own"] } }),
    both: () => run(image, look("deps") + ";" + look("/root/.npm"), {
      source: workspace(), cache: { key: "both", paths: ["deps", "/root/.npm"] },
    }),
    several: () => run(image, look("/a") + ";" + look("/b"), { cache: [{ key: "k", paths: ["/a"] }, { key: "k", paths: ["/b"] }] }),
    nested: () => run(image, "true", { source: workspace(), cache: [{ key: "n", paths: ["/workspace"] }, { key: "n", paths: ["x", "x/y"] }] }),
  });`;

for (const isFar of [false, true]) {
  const with_ = isFar ? "an engine that does not see this machine's files" : "an engine here";
  test(`caches lie anywhere in a container, with ${with_}`, async () => {
    using engine = await farEngine();
    await using rig = await startRig({
      executor: "docker",
      slots: 4,
      files: { ...files, ".bettertest/pipedef.ts": elsewhere },
      ...(isFar && { dockerHost: engine.url }),
    });
    const tasks = ["absolute", "relative", "nobody", "both", "several"];
    const first = await runs(rig, ...tasks);
    for (const task of tasks) assert.match(notesOf(first, task).join(), /miss: .*; saved/, task);
    const second = await runs(rig, ...tasks);
    for (const task of tasks) {
      assert.match(notesOf(second, task).join(), /^cache hit: [^;]*$/, task);
      assert.match(await rig.output(second.id, "s", task), /^(found\n){1,2}$/, task);
    }
    const nested = notesOf(await runs(rig, "nested"), "nested");
    assert.deepEqual(nested, [
      "cache not used: /workspace: /workspace holds the source itself",
      "cache not used: x and x/y: x/y lies in another cached folder",
    ]);
  });
}
