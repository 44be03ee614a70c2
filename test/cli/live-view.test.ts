// The live view on a real pseudo terminal (python's pty), read back through a small terminal of our own.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { ctrlC, onTerminal } from "./on-terminal.js";
import { pipedefOf, tempRepo } from "./rig.js";

const pipedef = ".bettertest/pipedef.ts";
const esc = "\u001b";

/** What is on the terminal and above it at the end: understands just what the live view uses. */
function finalScreen(shown: string): string[] {
  const lines: string[] = [""];
  let row = 0;
  let column = 0;
  const token = new RegExp(`${esc}\\[([0-9;?]*)([A-Za-z])|\\r|\\n|[^${esc}\\r\\n]+`, "g");
  for (const [text, parameter = "", command] of shown.matchAll(token)) {
    if (command === "A") row = Math.max(0, row - Number(parameter || 1));
    else if (command === "J") lines.splice(row, Infinity, (lines[row] ?? "").slice(0, column));
    else if (command === "K") lines[row] = (lines[row] ?? "").slice(0, column);
    else if (command === "m" || command === "h" || command === "l") continue;
    else if (command !== undefined) throw new Error(`unknown sequence ${JSON.stringify(text)}`);
    else if (text === "\r") column = 0;
    else if (text === "\n") {
      row += 1;
      lines[row] ??= "";
    } else {
      const line = (lines[row] ?? "").padEnd(column);
      lines[row] = line.slice(0, column) + text + line.slice(column + text.length);
      column += text.length;
    }
  }
  return lines.map((line) => line.trimEnd());
}

const mixed = pipedefOf({
  Build: { compile: "sleep 0.3; echo compiled" },
  Test: { good: "sleep 0.5", bad: "seq 1 40; exit 7" },
  Deploy: { ship: "true" },
});

suite("the live view", () => {
  test("at the end: the output of what failed, the tree, the summary, and nothing of the frames", async () => {
    using repo = tempRepo({ [pipedef]: mixed });
    using session = onTerminal(["run", "--executor", "process"], { cwd: repo.folder });
    const { exitCode, shown } = await session.ended;
    assert.equal(exitCode, 1);
    const screen = finalScreen(shown).map((line) =>
      line.replace(/ +\d+\.\d s$/, "").replace(/(?<=\S) {2,}/g, "  "),
    );
    const from = screen.indexOf("✓ Build  1 passed");
    assert.ok(from > 0, screen.join("\n"));
    assert.deepEqual(screen.slice(from), [
      "✓ Build  1 passed",
      "  ✓ task_compile",
      "✗ Test  1 failed · 1 passed",
      "  ✓ task_good",
      "  ✗ task_bad  exit code 7: seq 1 40; exit 7",
      "- Deploy  1 skipped",
      "  - task_ship  stage Test did not pass",
      "",
      "FAILED  1 failed · 2 passed · 1 skipped ·",
      "",
      "  ✗ Test.task_bad  exit code 7: seq 1 40; exit 7",
      "    npx bettertest run --only Test.task_bad --executor process",
      "",
    ]);
    const above = screen.slice(0, from);
    assert.equal(above.filter((line) => line.includes("✗ Test.task_bad")).length, 1);
    assert.ok(above.includes("    │ … 15 lines left out, --output all shows them"));
    assert.ok(above.includes("    │ 40"));
    assert.equal(above.filter((line) => line.includes("Deploy")).length, 0);
  });

  test("a frame never has more lines than the terminal, nor longer ones", async () => {
    const many = `import { stage } from "bettertest";
const all = stage("AStageWithQuiteALongNameForANarrowTerminal");
for (let n = 0; n < 500; n++) all.task("task_" + n, () => new Promise((end) => setTimeout(end, 60)));`;
    using repo = tempRepo({ [pipedef]: many });
    const [rows, columns] = [8, 30];
    using session = onTerminal(["run", "--executor", "process", "--slots", "20"], {
      cwd: repo.folder,
      rows,
      columns,
    });
    const { exitCode, shown } = await session.ended;
    assert.equal(exitCode, 0);
    // The first says where it runs, for good, above the picture; the last is followed by the summary.
    const frames = shown
      .split(`${esc}[?2026h`)
      .slice(1, -1)
      .filter((frame) => !frame.includes("on process"));
    assert.ok(frames.length > 3);
    for (const frame of frames) {
      const plain = frame.replaceAll(new RegExp(`${esc}\\[[0-9;?]*[A-Za-z]`, "g"), "");
      const lines = plain.split("\r\n").slice(0, -1);
      // With the cursor's own line below it, the block leaves the top line alone: what is cleared from
      // there goes into tmux's history.
      assert.ok(lines.length < rows - 1, frame);
      for (const line of lines) assert.ok([...line].length <= columns, line);
    }
  });

  test("Ctrl-C cancels, says so, gives the cursor back, exit 130", async () => {
    using repo = tempRepo({ [pipedef]: pipedefOf({ A: { slow: "sleep 600" }, B: { b: "true" } }) });
    using session = onTerminal(["run", "--executor", "process"], { cwd: repo.folder });
    await session.shows("sleep 600");
    session.type(ctrlC);
    const { exitCode, shown } = await session.ended;
    assert.equal(exitCode, 130);
    const screen = finalScreen(shown);
    assert.ok(
      screen.some((line) => /^CANCELLED {2}by Ctrl-C · 1 cancelled · 1 skipped/.test(line)),
    );
    assert.ok(shown.lastIndexOf(`${esc}[?25h`) > shown.lastIndexOf(`${esc}[?25l`));
  });

  test("a narrower terminal gets narrower frames", async () => {
    using repo = tempRepo({ [pipedef]: pipedefOf({ A: { slow: "sleep 600" } }) });
    using session = onTerminal(["run", "--executor", "process"], {
      cwd: repo.folder,
      columns: 100,
      env: { NO_COLOR: "1" },
    });
    await session.shows("sleep 600");
    session.resize(20, 28);
    await session.shows(`0 of 1 task · 1 running${esc}[K`);
    session.type(ctrlC);
    assert.equal((await session.ended).exitCode, 130);
  });

  test("NO_COLOR leaves the picture and takes the colours; CI takes the picture", async () => {
    using repo = tempRepo({ [pipedef]: pipedefOf({ A: { a: "true" } }) });
    const args = ["run", "--executor", "process"];
    const grey = await onTerminal(args, { cwd: repo.folder, env: { NO_COLOR: "1" } }).ended;
    assert.ok(grey.shown.includes(`${esc}[?2026h`));
    assert.doesNotMatch(grey.shown, new RegExp(`${esc}\\[[0-9;]*m`));
    const ci = await onTerminal(args, { cwd: repo.folder, env: { CI: "true", NO_COLOR: "1" } })
      .ended;
    assert.ok(!ci.shown.includes(esc));
    assert.match(ci.shown, / {2}passed {4}task_a/);
  });
});
