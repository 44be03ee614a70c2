// `npm run check`: what should hold before every commit, side by side, in under a minute.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ensureDependencies, exitWith, root } from "./setup.mjs";

/** Folders below test/ that need no engine and no browser, and end in a moment. */
const fastTests = [
  "model",
  "lib",
  "wire",
  "terminal",
  "scripts/check-imports",
  "scripts/run-tests",
  "ui/update",
  "ui/output/model",
  "ui/route",
  "ui/keys",
  "ui/timeline",
  "ui/pages-data",
];

try {
  await ensureDependencies();
  const { build } = await import("./build.mjs");
  const { findTests } = await import("./run-tests.mjs");
  const bin = (name) => join(root, "node_modules/.bin", name);
  const tsc = join(root, "node_modules/typescript/bin/tsc");

  const tests = async () => {
    await build();
    const files = findTests(
      join(root, "dist/test"),
      fastTests.map((name) => join("test", name)),
    );
    return run(process.execPath, [join(root, "scripts/run-tests.mjs"), ...files]);
  };
  const checks = {
    types: () => run(process.execPath, [tsc, "-p", "tsconfig.json"]),
    "types of ui": () => run(process.execPath, [tsc, "-p", "ui/tsconfig.json"]),
    "format and lint": () => run(bin("biome"), ["check", "--colors=off", "."]),
    imports: () => run(process.execPath, [join(root, "scripts/check-imports.mjs")]),
    "fast tests": tests,
  };
  if (!existsSync(join(root, "ui/main.tsx"))) delete checks["types of ui"];

  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => {
      const startedAt = performance.now();
      const { code, output } = await check().catch((error) => ({ code: 1, output: String(error) }));
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
      console.log(`${code === 0 ? "✓" : "✗"} ${name}  ${seconds} s`);
      return { name, code, output };
    }),
  );
  for (const { name, output } of results.filter(({ code }) => code !== 0)) {
    console.log(`\n✗ ${name}\n${output.trimEnd()}`);
  }
  process.exitCode = results.some(({ code }) => code !== 0) ? 1 : 0;
} catch (error) {
  exitWith(error, 1);
}

function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => {
        output += chunk;
      });
    }
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}
