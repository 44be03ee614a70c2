import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { suite, test } from "node:test";
import { cli, tempRepo } from "./rig.js";

const written = [
  "Dockerfile",
  "Dockerfile.dockerignore",
  "bettertest.d.ts",
  "pipedef.ts",
  "tsconfig.json",
];

interface Sample {
  readonly files: Readonly<Record<string, string>>;
  readonly found: string;
  /** In the pipedef. */
  readonly commands: readonly string[];
  /** In the Dockerfile. */
  readonly from: readonly string[];
}

const vitest = JSON.stringify({
  scripts: { test: "vitest run", lint: "eslint ." },
  devDependencies: { vitest: "^3" },
});

const samples: Readonly<Record<string, Sample>> = {
  "npm with one test script": {
    files: {
      "package.json": '{ "scripts": { "test": "node --test" } }',
      "package-lock.json": "{}",
    },
    found: "node (package.json)",
    commands: ['"npm run test"'],
    from: ["FROM node:22", "RUN npm ci"],
  },
  "vitest with several test files, pnpm": {
    files: {
      "package.json": vitest,
      "pnpm-lock.yaml": "",
      "src/a.test.ts": "",
      "src/b.test.ts": "",
    },
    found: "node (package.json)",
    commands: ['"pnpm run lint"', "`pnpm exec vitest run $" + "{file}`"],
    from: ["FROM node:22", "pnpm install --frozen-lockfile"],
  },
  "pytest with several test files": {
    files: {
      "pyproject.toml":
        '[project]\nname = "x"\nrequires-python = ">=3.13"\n[tool.pytest.ini_options]\n',
      "tests/test_a.py": "",
      "tests/test_b.py": "",
    },
    found: "python (pyproject.toml)",
    commands: ['files("tests/**/{test_*,*_test}.py")', "`pytest $" + "{file}`"],
    from: ["FROM python:3.13", "RUN pip install --no-cache-dir pytest"],
  },
  "unittest by setup.py": {
    files: { "setup.py": "", "test_a.py": "import unittest" },
    found: "python (setup.py)",
    commands: ['"python -m unittest discover"'],
    from: ["FROM python:3.12", "pip install --no-cache-dir -e '.'"],
  },
  go: {
    files: { "go.mod": "module x\n\ngo 1.22.1\n" },
    found: "go (go.mod)",
    commands: ['"go vet ./..."', '"go test ./..."'],
    from: ["FROM golang:1.22\n"],
  },
  rust: {
    files: { "Cargo.toml": "[package]", "Cargo.lock": "" },
    found: "rust (Cargo.toml)",
    commands: ['"cargo test --locked"'],
    from: ["FROM rust:1"],
  },
  "a Makefile": {
    files: { Makefile: "VAR := 1\nlint:\n\ttrue\ntest: lint\n\ttrue\n" },
    found: "make (Makefile (target test))",
    commands: ['"make lint"', '"make test"'],
    from: ["FROM debian"],
  },
  "three languages and a Makefile": {
    files: {
      "package.json": vitest,
      "requirements.txt": "pytest",
      "go.mod": "module x",
      Makefile: "test:\n\ttrue\n",
    },
    found: "node (package.json), python (requirements.txt), go (go.mod)",
    commands: ["NODE_IMAGE", "PYTHON_IMAGE", "GO_IMAGE"],
    from: ["AS node", "AS python", "AS go"],
  },
  nothing: { files: {}, found: "", commands: ["echo"], from: ["FROM debian"] },
};

suite("init", () => {
  for (const [name, sample] of Object.entries(samples)) {
    test(`${name}: what it writes fits, and passes check`, async () => {
      using repo = tempRepo(sample.files);
      const { exitCode, stdout, stderr } = await cli(["init"], { cwd: repo.folder });
      assert.deepEqual([exitCode, stderr], [0, ""]);
      assert.ok(stdout.startsWith(sample.found ? `Found ${sample.found}.` : "Found no"), stdout);
      assert.deepEqual(readdirSync(join(repo.folder, ".bettertest")).sort(), written);
      const read = (file: string) => readFileSync(join(repo.folder, ".bettertest", file), "utf8");
      for (const command of sample.commands)
        assert.ok(read("pipedef.ts").includes(command), command);
      for (const line of sample.from) assert.ok(read("Dockerfile").includes(line), line);
      const checked = await cli(["check"], { cwd: repo.folder });
      assert.equal(checked.exitCode, 0, checked.stderr);
    });
  }

  test("an editor finds the types in a repo with no node_modules", async () => {
    using repo = tempRepo({ "go.mod": "module x" });
    await cli(["init"], { cwd: repo.folder });
    const tsc = join(
      dirname(createRequire(import.meta.url).resolve("typescript/package.json")),
      "bin/tsc",
    );
    const compile = () =>
      spawnSync(process.execPath, [tsc, "-p", join(repo.folder, ".bettertest")], {
        encoding: "utf8",
      });
    assert.equal(compile().status, 0, compile().stdout);
    repo.write(".bettertest/wrong.ts", 'import { run } from "bettertest";\nrun(1);\n');
    assert.match(compile().stdout, /wrong\.ts\(2,1\): error TS/);
  });

  test("overwrites nothing and says what it left", async () => {
    using repo = tempRepo({ "go.mod": "module x", ".bettertest/Dockerfile": "mine\n" });
    const first = await cli(["init"], { cwd: repo.folder });
    assert.match(first.stdout, /left {3}\.bettertest\/Dockerfile {2}was there, unchanged/);
    assert.match(first.stdout, /wrote {2}\.bettertest\/pipedef\.ts/);
    assert.doesNotMatch(first.stdout, /docker build/);
    repo.write(".bettertest/pipedef.ts", "// mine\n");
    await cli(["init"], { cwd: repo.folder });
    const read = (file: string) => readFileSync(join(repo.folder, ".bettertest", file), "utf8");
    assert.deepEqual([read("Dockerfile"), read("pipedef.ts")], ["mine\n", "// mine\n"]);
  });

  test("a pipedef.py that is there already is the pipedef", async () => {
    using repo = tempRepo({ "go.mod": "module x", ".bettertest/pipedef.py": "# mine\n" });
    const { stdout } = await cli(["init", "--json"], { cwd: repo.folder });
    const { files } = JSON.parse(stdout);
    assert.deepEqual(files[0], { path: ".bettertest/pipedef.py", wrote: false });
    assert.deepEqual(readdirSync(join(repo.folder, ".bettertest")).sort(), [
      "Dockerfile",
      "Dockerfile.dockerignore",
      "pipedef.py",
    ]);
  });
});
