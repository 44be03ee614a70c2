// The package as its users get it: packed, and installed in an empty folder.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../..", import.meta.url));

interface Ended {
  readonly exitCode: number | null;
  readonly output: string;
}

function run(command: string, args: readonly string[], cwd: string): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { cwd, maxBuffer: 2 ** 26, env: { ...process.env, CI: "" } };
    const child = execFile(command, [...args], options, (_error, stdout, stderr) => {
      resolve({ exitCode: child.exitCode, output: stdout + stderr });
    });
  });
}

const strictest = {
  compilerOptions: {
    target: "es2022",
    module: "nodenext",
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noPropertyAccessFromIndexSignature: true,
    noImplicitOverride: true,
    skipLibCheck: false,
    types: ["node"],
    outDir: "out",
  },
  files: ["run.ts", "pipedef.ts"],
};

const pipedef = `
import { run, Stage, stage } from "bettertest";
export class TestUnit extends Stage {
  static task_models() { return run("any", "echo models", { timeout: "1m", env: { A: "b" } }); }
  static async task_utils() {
    const { exitCode, output } = await run("any", "echo utils; exit 4", { check: false });
    const code: number | null = exitCode;
    console.log(code, output.length);
    await run("any", "exit 4");
  }
}
stage("later", { never: () => run("any", "true") });
`;

describe("the package", () => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-package-"));
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const tarball = `bettertest-${version}.tgz`;
  before(async () => {
    const packed = await run(
      "npm",
      ["pack", "--ignore-scripts", "--pack-destination", folder],
      root,
    );
    assert.equal(packed.exitCode, 0, packed.output);
    writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }');
    const installed = await run(
      "npm",
      ["install", "--ignore-scripts", "--no-audit", tarball],
      folder,
    );
    assert.equal(installed.exitCode, 0, installed.output);
    mkdirSync(join(folder, ".bettertest"));
    writeFileSync(join(folder, ".bettertest/pipedef.ts"), pipedef);
    writeFileSync(join(folder, "pipedef.ts"), pipedef);
    writeFileSync(join(folder, "run.ts"), readFileSync(join(root, "examples/library/run.ts")));
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(strictest));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test("holds what each process and thread of it begins with", async () => {
    const { beginnings, builtName } = await import(join(root, "scripts/bundle.mjs"));
    for (const name of beginnings) {
      const built = join("node_modules/bettertest/dist", builtName(name));
      assert.ok(existsSync(join(folder, built)), `${built} is not in package.json's "files"`);
    }
  });

  test("its program runs", async () => {
    const { exitCode, output } = await run("npx", ["--no", "bettertest", "--version"], folder);
    assert.equal(exitCode, 0, output);
    assert.match(output, /^\d+\.\d+\.\d+\n/m);
  });

  test("its program runs a pipedef and tells red from green", async () => {
    const args = ["--no", "bettertest", "run", "--executor", "process"];
    const red = await run("npx", args, folder);
    assert.equal(red.exitCode, 1, red.output);
    const green = await run("npx", [...args, "--only", "TestUnit.task_models"], folder);
    assert.equal(green.exitCode, 0, green.output);
  });

  test("a pipedef and the library's example type-check under the strictest settings, and the example runs", async () => {
    const checked = await run("npx", ["--no", "tsc"], folder);
    assert.equal(checked.exitCode, 0, checked.output);
    const { exitCode, output } = await run(process.execPath, ["out/run.js"], folder);
    assert.equal(exitCode, 1, output);
    assert.match(output, /^TestUnit: task_models, task_utils$/m);
    assert.match(output, /^TestUnit\.task_models passed$/m);
    assert.match(output, /^TestUnit\.task_utils exited with 4$/m);
    assert.match(output, /^failed$/m);
  });

  test("it brings the Python package, the page, and no tests", async () => {
    const { output } = await run("tar", ["-tzf", tarball], folder);
    const files = output.split("\n");
    for (const file of [
      "compat-python/bettertest/__init__.py",
      "dist/ui/index.html",
      "dist/types/bettertest.d.ts",
    ]) {
      assert.ok(files.includes(`package/${file}`), `${file} is missing`);
    }
    assert.deepEqual(
      files.filter((file) => /dist\/test|__pycache__/.test(file)),
      [],
    );
  });
});
