import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { suite, test } from "node:test";
import { shellWord } from "../../src/model/shell-word.js";
import { cli, pipedefOf, program, tempRepo } from "./rig.js";

/** What bash would offer after these words, the last of them unfinished. */
function complete(script: string, words: readonly string[], cwd: string): string[] {
  const quoted = words.map(shellWord).join(" ");
  const asked = [
    `bettertest() { '${process.execPath}' '${program}' "$@"; }`,
    script,
    `COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; _bettertest`,
    `printf '%s\\n' "\${COMPREPLY[@]}"`,
  ].join("\n");
  const { stdout, stderr } = spawnSync("bash", ["-c", asked], { cwd, encoding: "utf8" });
  assert.equal(stderr, "");
  return stdout.split("\n").filter(Boolean);
}

suite("completion", () => {
  test("bash: commands, flags, choices and the tasks of the pipedef at hand", async () => {
    using repo = tempRepo({
      ".bettertest/pipedef.ts": pipedefOf({ Unit: { one: "true", two: "true" } }),
    });
    const { stdout: script } = await cli(["completion", "bash"]);
    const words = (...typed: string[]) => complete(script, ["bettertest", ...typed], repo.folder);
    assert.deepEqual(words("ru"), ["run", "runs"]);
    assert.deepEqual(words("run", "--on"), ["--only"]);
    assert.deepEqual(words("run", "--executor", ""), ["docker", "process"]);
    assert.deepEqual(words("completion", "z"), ["zsh"]);
    assert.deepEqual(words("run", "--only", "Unit.task_t"), ["Unit.task_two"]);
  });

  test("bash: names that a shell would take for code are names, however they are typed", async () => {
    const names = ["a $(touch ran)", "a `touch ran`", 'it\'s "quoted"', "x;touch ran", "*"];
    const tasks = names.map((name) => `${JSON.stringify(name)}: () => {}`);
    using repo = tempRepo({
      ".bettertest/pipedef.ts": `import { stage } from "bettertest";\nstage("S", {${tasks.join(",")}});`,
    });
    const { stdout: script } = await cli(["completion", "bash"]);
    const words = (typed: string) =>
      complete(script, ["bettertest", "run", "--only", typed], repo.folder);
    const quoted = [
      "S.a\\ \\$\\(touch\\ ran\\)",
      "S.a\\ \\`touch\\ ran\\`",
      'S.it\\\'s\\ \\"quoted\\"',
      "S.x\\;touch\\ ran",
      "S.\\*",
    ];
    assert.deepEqual(words(""), ["S", ...quoted]);
    assert.deepEqual(words("S.a\\ "), quoted.slice(0, 2));
    assert.deepEqual(words("S.it\\'"), quoted.slice(2, 3));
    // After an open quote it is completed where that can hold it.
    assert.deepEqual(words("'S.a "), ["S.a $(touch ran)", "S.a `touch ran`"]);
    assert.deepEqual(words("'S.i"), []);
    assert.deepEqual(words('"S.'), ["S.x;touch ran", "S.*"]);
    assert.ok(!existsSync(`${repo.folder}/ran`));
  });

  test("no pipedef, or a broken one: no names and no noise", async () => {
    using repo = tempRepo({});
    assert.deepEqual(await cli(["completion", "tasks"], { cwd: repo.folder }), {
      exitCode: 0,
      stdout: "",
      stderr: "",
    });
  });

  test("zsh and fish name every command", async () => {
    for (const shell of ["zsh", "fish"]) {
      const { exitCode, stdout } = await cli(["completion", shell]);
      assert.equal(exitCode, 0);
      for (const command of ["run", "check", "doctor"])
        assert.match(stdout, new RegExp(`\\b${command}\\b`));
    }
    assert.equal((await cli(["completion", "tcsh"])).exitCode, 2);
  });
});
