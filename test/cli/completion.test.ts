import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { suite, test } from "node:test";
import { cli, pipedefOf, program, tempRepo } from "./rig.js";

/** What bash would offer after these words, the last of them unfinished. */
function complete(script: string, words: readonly string[], cwd: string): string[] {
  const quoted = words.map((word) => `'${word}'`).join(" ");
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
