import assert from "node:assert/strict";
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import Module from "node:module";
import { join } from "node:path";
import { suite, test } from "node:test";
import { cli, tempRepo } from "./rig.js";

const byNode = Reflect.has(Module, "enableCompileCache");

suite("what the engine made of the program", { skip: byNode && "Node keeps it by itself" }, () => {
  const help = async (home: string, command = "run") => {
    const { exitCode, stdout, stderr } = await cli([command, "--help"], { env: { HOME: home } });
    assert.deepEqual([exitCode, stderr], [0, ""]);
    assert.match(stdout, /^bettertest /);
  };

  test("is kept for the next start, for this user only, a file for each command", async () => {
    using home = tempRepo({});
    const folder = join(home.folder, ".cache/bettertest/compiled");
    await help(home.folder);
    const [kept = "", ...others] = readdirSync(folder);
    assert.deepEqual(others, []);
    const path = join(folder, kept);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(folder).mode & 0o777, 0o700);
    const { ino } = statSync(path);
    await help(home.folder);
    assert.equal(statSync(path).ino, ino, "taken as it was");
    await help(home.folder, "logs");
    assert.equal(readdirSync(folder).length, 2);
  });

  test("is made anew where it is damaged", async () => {
    using home = tempRepo({});
    const folder = join(home.folder, ".cache/bettertest/compiled");
    await help(home.folder);
    const path = join(folder, readdirSync(folder)[0] ?? "");
    const good = readFileSync(path);
    const flipped = Buffer.from(good);
    flipped[good.length - 100]! ^= 255;
    const nulls = Buffer.alloc(good.length);
    for (const bad of [good.subarray(0, 1000), nulls, Buffer.alloc(0), flipped]) {
      writeFileSync(path, bad);
      await help(home.folder);
      const { ino } = statSync(path);
      assert.notDeepEqual(readFileSync(path), bad);
      await help(home.folder);
      assert.equal(statSync(path).ino, ino, "taken as it was");
    }
  });

  test("can be done without", async () => {
    using home = tempRepo({ ".cache": "no folder" });
    await help(home.folder);
    await help(join(home.folder, "that/is/not/there"));
    assert.ok(!existsSync(join(home.folder, "that")));
    await help("/proc/1");
    chmodSync(home.folder, 0o500);
    await help(home.folder);
    assert.ok(existsSync(join(home.folder, ".cache")));
    chmodSync(home.folder, 0o700);
  });
});
