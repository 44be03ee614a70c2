// What an editor makes of a pipedef: the declarations alone, in the strictest setting, without Node's types.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

const clone = fileURLToPath(new URL("../../..", import.meta.url));
const tsc = join(clone, "node_modules/typescript/bin/tsc");
const strictest = {
  strict: true,
  noEmit: true,
  types: [],
  lib: ["es2022"],
  target: "es2022",
  module: "nodenext",
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  noImplicitOverride: true,
  noPropertyAccessFromIndexSignature: true,
  noImplicitReturns: true,
  noUnusedLocals: true,
  isolatedDeclarations: false,
  erasableSyntaxOnly: true,
  skipLibCheck: false,
};

const right = `import { CommandFailed, files, InfrastructureError, run, Stage, stage, type CommandResult } from "bettertest";
export class Unit extends Stage {
  static always = true;
  static task_a() { return run("http://w", "img", "ls"); }
  static async task_b(): Promise<void> {
    const { ok, exitCode, output }: CommandResult = await run("img", "ls", { check: false, timeout: "5m", env: { A: "1" } });
    const code: number | null = exitCode;
    if (!ok) throw new Error(output + code);
    try { await run("img", "ls"); } catch (error) {
      if (error instanceof CommandFailed && error.reason === "timeout") throw new Error(error.command, { cause: error });
      if (error instanceof InfrastructureError) throw error;
    }
  }
  task_c() {}
}
const s = stage("per file", { "a task": async () => {} }, { always: false });
for (const file of files("**/*.ts")) s.task(file, () => run("img", file)).task(file + "2", () => {});
`;
const builds = `import { artifacts, build, image, run, workspace, type BuiltFiles, type Source } from "bettertest";
export async function test(): Promise<void> {
  const options = { source: workspace(), reads: ["src/**"], artifacts: "dist/**", timeout: "5m" };
  const built: BuiltFiles = await build(await image(), "make", options);
  const source: Source = built.cached ? built : artifacts([built, "Build.docs"], { over: workspace() });
  await run("img", "ls", { source });
  await build("http://w", "img", "make", { artifacts: ["a", "b"] });
}
`;
const wrong = [
  'import { run } from "bettertest"; run("img");',
  'import { run } from "bettertest"; run("img", "ls", { timeuot: 1 });',
  'import { run } from "bettertest"; run("img", "ls", { env: { A: 1 } });',
  'import { run } from "bettertest"; run("a", "b", "c", "d");',
  'import { stage } from "bettertest"; stage("x", { y: 1 });',
  'import { Stage } from "bettertest"; new Stage();',
  'import { build } from "bettertest"; build("img", "make", { reads: "src/**" });',
  'import { build } from "bettertest"; build("img", "make", { artifacts: "a", results: "junit.xml" });',
];

test("the declarations that init writes say what is right and what is wrong", () => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-types-"));
  try {
    const types = join(clone, "dist/types/bettertest.d.ts");
    const build = pathToFileURL(join(clone, "scripts/build.mjs")).href;
    const made = spawnSync(
      process.execPath,
      [
        "--input-type=module",
        "-e",
        `import { buildTypes } from ${JSON.stringify(build)}; buildTypes();`,
      ],
      { encoding: "utf8" },
    );
    assert.equal(made.status, 0, made.stderr);
    writeFileSync(join(folder, "bettertest.d.ts"), readFileSync(types));
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({ compilerOptions: strictest, include: ["**/*"] }),
    );
    writeFileSync(join(folder, "right.ts"), right);
    writeFileSync(join(folder, "builds.ts"), builds);
    for (const [index, source] of wrong.entries())
      writeFileSync(join(folder, `wrong${index}.ts`), source);
    const { stdout } = spawnSync(process.execPath, [tsc, "--pretty", "false", "-p", folder], {
      encoding: "utf8",
    });
    const files = new Set(
      [...stdout.matchAll(/(\w+(?:\.d)?\.ts)\(\d+,\d+\): error/g)].map(([, file]) => file),
    );
    assert.deepEqual(
      [...files].sort(),
      wrong.map((_, index) => `wrong${index}.ts`),
      stdout,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
