import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { normalizeSpelling } from "../../src/cli/spellings.js";
import { closestWord, editDistance } from "../../src/cli/suggest.js";
import { version } from "../../src/version.js";
import { cli, tempRepo } from "./rig.js";

const commands = "run check init up boss worker runs logs rerun cancel doctor completion".split(
  " ",
);

suite("the program", () => {
  test("--version prints the version alone", async () => {
    assert.deepEqual(await cli(["--version"]), { exitCode: 0, stdout: `${version}\n`, stderr: "" });
  });

  test("--help lists every command and the exit codes", async () => {
    const { exitCode, stdout } = await cli(["--help"]);
    assert.equal(exitCode, 0);
    for (const command of commands)
      assert.match(stdout, new RegExp(`^  bettertest ${command}\\b`, "m"));
    assert.match(stdout, /0 passed, 1 a test failed, 2 usage or pipedef error/);
  });

  test("help of a command runs nothing, in both spellings", async () => {
    using repo = tempRepo({});
    for (const args of [
      ["init", "--help"],
      ["help", "init"],
    ]) {
      const { exitCode, stdout } = await cli(args, { cwd: repo.folder });
      assert.equal(exitCode, 0);
      assert.match(stdout, /^bettertest init \[folder\]/);
    }
  });

  test("without a command it says what there is, and that this was no use", async () => {
    const { exitCode, stdout, stderr } = await cli([]);
    assert.deepEqual([exitCode, stdout], [2, ""]);
    assert.match(stderr, /Commands:/);
  });

  const refused: [args: string[], message: string][] = [
    [["runn"], 'there is no command "runn". Did you mean "bettertest run"?'],
    [["chekc"], 'there is no command "chekc". Did you mean "bettertest check"?'],
    [["run", "--ony", "A"], "bettertest run has no flag --ony. Did you mean --only?"],
    [
      ["check", "--only", "A"],
      "bettertest check has no flag --only. It belongs to: run, watch, rerun.",
    ],
    [["run", "a", "b"], 'bettertest run does not take "b"'],
    [["run", "--slots", "many"], "--slots must be a whole number"],
    [["run", "--slots", "1.5"], "--slots must be a whole number"],
    [["run", "--max-cpus", "few"], "--max-cpus must be a number"],
    [["run", "--max-cpus", "1.5", "--slots", "0.5"], "--slots must be a whole number"],
    [["run", "--data", "a", "--data", "b"], "--data was given more than once"],
    [["run", "--output", "some"], '--output cannot be "some"; it is one of all, failed, none'],
    [["run", "--only"], "--only needs a value"],
    [["logs"], "something is missing: bettertest logs <run> [task]"],
    [["logs", "x"], '"x" is no run: runs have numbers'],
    [["worker", "--port", "70000"], "--port 70000: ports end at 65535"],
  ];
  for (const [args, message] of refused) {
    test(`${args.join(" ")}: exit 2, one sentence, no stack`, async () => {
      using repo = tempRepo({ ".bettertest/pipedef.js": "" });
      const { exitCode, stdout, stderr } = await cli(args, { cwd: repo.folder });
      assert.deepEqual([exitCode, stdout], [2, ""]);
      assert.ok(stderr.startsWith(`bettertest: ${message}`), stderr);
      assert.doesNotMatch(stderr, /\n +at /);
    });
  }

  test("docs/cli.md names every command, flag and exit code", async () => {
    const { commands: known } = await import("../../src/cli/program.js");
    const text = readFileSync(new URL("../../../docs/cli.md", import.meta.url), "utf8");
    for (const command of known) {
      assert.ok(text.includes(`### bettertest ${command.usage}`), command.usage);
      for (const [flag, { default: on }] of Object.entries(command.flags)) {
        const typed = on === true ? `no-${flag}` : flag;
        assert.ok(text.includes(`\`--${typed}`), flag);
      }
    }
    for (const code of ["0", "1", "2", "3", "130"])
      assert.match(text, new RegExp(`^\\| ${code} \\|`, "m"));
  });
});

suite("other spellings", () => {
  const table: [typed: string, meant: string][] = [
    ["--worker", "worker"],
    ["--worker --port 1", "worker --port 1"],
    ["--boss --pipedef p.py", "boss --pipedef p.py"],
    ["--pipedef p.py --boss", "boss --pipedef p.py"],
    ["--boss --pipedef p.py --worker http://w:9009", "boss --pipedef p.py --worker http://w:9009"],
    ["--boss http://b:9001 runs", "--boss http://b:9001 runs"],
    ["run --worker w:9009", "run --worker w:9009"],
    ["help run", "run --help"],
    ["help", "--help"],
  ];
  for (const [typed, meant] of table) {
    test(`bettertest ${typed}`, () => {
      assert.equal(normalizeSpelling(typed.split(" ")).join(" "), meant);
    });
  }
});

suite("suggestions", () => {
  test("a swap of neighbours is one slip", () => {
    assert.equal(editDistance("chekc", "check"), 1);
    assert.equal(editDistance("", "abc"), 3);
  });

  test("what is far from every word gets none", () => {
    assert.equal(closestWord("xyzzy", commands), null);
    assert.equal(closestWord("x", commands), null);
    assert.equal(closestWord("docto", commands), "doctor");
  });
});
