import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import Database from "libsql";
import { startRig } from "../rig/rig.js";
import { cli, tempRepo } from "./rig.js";

const pipedef = `import { run, stage } from "bettertest";
stage("s", { one: () => run("any", "head -c 5000 /dev/zero"), two: () => run("any", "echo two") });`;

test("the data folder: sizes, check, export, import, with and without a boss", async () => {
  using place = tempRepo({});
  const folder = join(place.folder, "data");
  const run = (...args: string[]) => cli(["data", ...args], { cwd: place.folder });
  {
    await using rig = await startRig({
      history: { kind: "durable", folder },
      files: { ".bettertest/pipedef.ts": pipedef },
    });
    await rig.run();
    await rig.run({ only: ["s.two"] });
    // A boss is using it: looking and taking out is well, putting in is not.
    assert.equal((await run("check", "--data", folder)).exitCode, 0);
    const exported = await run("export", "1", "--data", folder, "-o", "one.bettertest");
    assert.equal(exported.exitCode, 0, exported.stderr);
    const refused = await run("import", "one.bettertest", "--data", folder);
    assert.equal(refused.exitCode, 3);
    assert.match(refused.stderr, /in use by another boss/);
  }
  const sizes = JSON.parse((await run("--data", folder, "--json")).stdout);
  assert.equal(sizes.runs, 2);
  assert.ok(sizes.outputBytes > 5000 && sizes.freeBytes > 0 && sizes.databaseBytes > 0);
  assert.equal(sizes.biggest[0].run, 1);
  assert.match((await run("--data", folder)).stdout, /outputs {3}\d.* KiB\n.*newest {4}#2 /s);

  const imported = await run("import", "one.bettertest", "--data", folder, "--json");
  assert.equal(JSON.parse(imported.stdout).run, 3, imported.stderr);
  const elsewhere = await run("import", "one.bettertest", "--data", join(place.folder, "other"));
  assert.match(elsewhere.stdout, /is run 1 now/, elsewhere.stderr);
  const checked = await run("check", "--data", folder, "--json");
  assert.deepEqual(JSON.parse(checked.stdout), { schema: 1, folder, ok: true, problems: [] });

  const again = await run("export", "1", "--data", folder, "-o", "one.bettertest");
  assert.equal(again.exitCode, 2);
  assert.match(again.stderr, /is there already/);
  assert.ok(statSync(join(place.folder, "one.bettertest")).size > 0);
  for (const [args, words] of [
    [["export", "99", "--data", folder], /there is no run 99/],
    [["export", "--data", folder], /of what\?/],
    [["import", "gone", "--data", folder], /there is no file/],
    [["check", "--data", join(place.folder, "nothing")], /holds no history/],
    [["check", "9", "--data", folder], /does not take/],
  ] as const) {
    const result = await run(...args);
    assert.equal(result.exitCode, 2, args.join(" "));
    assert.match(result.stderr, words);
  }
});

test("data check says what is wrong, and exits with 3", async () => {
  using place = tempRepo({});
  const folder = join(place.folder, "data");
  {
    await using rig = await startRig({
      history: { kind: "durable", folder },
      files: { ".bettertest/pipedef.ts": pipedef },
    });
    for (let n = 0; n < 4; n++) await rig.run();
  }
  const outputs = join(folder, "outputs");
  appendFileSync(join(outputs, "1", "0-0-1.out"), "x");
  rmSync(join(outputs, "2", "0-1-1.out"));
  writeFileSync(join(outputs, "2", "7-7-1.out"), "");
  mkdirSync(join(outputs, "77"));
  const database = new Database(join(folder, "history.db"));
  database.exec("UPDATE runs SET summary = json_set(summary, '$.status', 'passed!') WHERE id = 3");
  database.exec("DELETE FROM runs WHERE id = 4");
  database.close();
  const { exitCode, stdout } = await cli(["data", "check", "--data", folder, "--json"]);
  assert.equal(exitCode, 3);
  const problems: string[] = JSON.parse(stdout).problems;
  for (const words of [
    /0-0-1\.out has 5001 bytes, and was stored with 5000/,
    /0-1-1\.out is missing/,
    /7-7-1\.out belongs to no attempt/,
    /outputs\/77 belongs to no run/,
    /run 3: the list of runs says other/,
    /events belong to run 4/,
    /outputs\/4 belongs to no run/,
  ]) {
    assert.ok(
      problems.some((problem) => words.test(problem)),
      `${words} in ${problems.join("\n")}`,
    );
  }
  assert.equal(problems.length, 7, problems.join("\n"));
  assert.ok(readdirSync(outputs).includes("77"), "it changes nothing");

  for (const end of ["-wal", "-shm"]) rmSync(join(folder, `history.db${end}`), { force: true });
  writeFileSync(join(folder, "history.db"), "no database at all, but a text that is long enough");
  const damaged = await cli(["data", "check", "--data", folder]);
  assert.equal(damaged.exitCode, 3);
  assert.match(damaged.stderr, /no bettertest history, or a damaged one/);
});
