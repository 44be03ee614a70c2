import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const dist = fileURLToPath(new URL("../..", import.meta.url));

test("what runs imports the one file that a vendored package has become", () => {
  const vendored = readdirSync(join(dist, "vendor"));
  const packages = ["dockerode", "hono-node-server", "hono", "yargs", "zod"];
  assert.deepEqual(
    vendored.sort(),
    packages.map((name) => `${name}.js`),
  );
  const imported = new Set<string>();
  for (const folder of ["src", "runtime"]) {
    for (const name of readdirSync(join(dist, folder), { recursive: true, encoding: "utf8" })) {
      if (!name.endsWith(".js")) continue;
      const text = readFileSync(join(dist, folder, name), "utf8");
      assert.doesNotMatch(text, /from "(?:dockerode|zod|hono|@hono\/node-server|yargs)"/, name);
      const from = /from "(?:\.\.\/)+vendor\/([^"]+)"/.exec(text)?.[1];
      if (from) imported.add(from);
    }
  }
  assert.deepEqual([...imported].sort(), vendored);
});

test("a vendored package is read at each start, so it holds no messages in other languages", () => {
  const zod = readFileSync(join(dist, "vendor/zod.js"), "utf8");
  assert.match(zod, /Invalid input: expected/);
  assert.doesNotMatch(zod, /Ungültige Eingabe/);
});
