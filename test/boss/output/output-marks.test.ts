import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { AttemptOutput, marksPath } from "../../../src/boss/output/attempt-output.js";
import { marksInFile, readMarks } from "../../../src/boss/output/output-marks.js";
import type { OutputMarksView } from "../../../src/wire/boss.js";
import { startRig } from "../../rig/rig.js";

const folder = mkdtempSync(join(tmpdir(), "bettertest-marks-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
const newPath = () => join(folder, `output-${++files}`);
const limitBytes = 1_000_000;

/** "source: its bytes" in the order of the file. */
function bySource(path: string): Map<number, string> {
  const output = readFileSync(path, "latin1");
  const marks = marksInFile(readMarks(marksPath(path)), output.length);
  const found = new Map<number, string>();
  marks.forEach(({ offset, source }, index) => {
    const text = output.slice(offset, marks[index + 1]?.offset ?? output.length);
    found.set(source, (found.get(source) ?? "") + text);
  });
  return found;
}

test("every byte belongs to who printed it", async () => {
  const path = newPath();
  const output = new AttemptOutput(path, { limitBytes });
  const printed = new Map<number, string>();
  for (let n = 0; n < 1000; n++) {
    const source = (n * 7) % 3;
    const text = `${source}:${n}\n`.repeat(n % 4);
    printed.set(source, (printed.get(source) ?? "") + text);
    await output.append(source, Buffer.from(text));
  }
  await output.end();
  assert.deepEqual(bySource(path), printed);
});

test("of an output that was cut, what is there still belongs to who printed it", async () => {
  for (const lines of [150, 400, 3000]) {
    const path = newPath();
    const output = new AttemptOutput(path, { limitBytes: 1000 });
    for (let n = 0; n < lines; n++) await output.append(n % 3, Buffer.from(`${n % 3}\n`));
    await output.end();
    for (const [source, text] of bySource(path)) {
      const foreign = text.replace(/\n?\[\d+ bytes are missing[^\]]*\]\n/, "").split("\n");
      assert.ok(
        foreign.every((line) => line === "" || line === String(source)),
        text,
      );
    }
  }
});

for (const limit of [limitBytes, 4000]) {
  test(`cut off at any byte, it goes on where its file ends (limit ${limit})`, async () => {
    const steps = Array.from({ length: 900 }, (_, n) => [n % 4, `${n % 4}:${n};`] as const);
    for (let kept = 0; kept <= 1500; kept += 137) {
      const path = newPath();
      const first = new AttemptOutput(path, { limitBytes: limit });
      for (const [source, text] of steps.slice(0, 300))
        await first.append(source, Buffer.from(text));
      await first.flush();
      // As if it had been killed with so much of it on disk; the marks are always ahead of the bytes.
      truncateSync(path, kept);
      const second = new AttemptOutput(path, { limitBytes: limit, reopen: true });
      const sources = [0, 1, 2, 3];
      assert.equal(
        sources.map((source) => second.receivedFrom(source)).reduce((sum, bytes) => sum + bytes),
        kept,
      );
      for (const source of sources) {
        const all = steps.filter((step) => step[0] === source).map(([, text]) => text);
        const had = second.receivedFrom(source);
        assert.equal(
          Buffer.from((await second.earlierEndOf(source, 50))!).toString(),
          all.join("").slice(0, had).slice(-50),
        );
        await second.append(source, Buffer.from(all.join("").slice(had)));
      }
      await second.end();
      if (limit !== limitBytes) continue;
      for (const [source, text] of bySource(path)) {
        const all = steps.filter((step) => step[0] === source).map(([, line]) => line);
        assert.equal(text, all.join(""));
      }
    }
  });
}

test("an output past its limit goes on past its limit", async () => {
  const line = (n: number) => Buffer.from(`${n % 2}:${String(n).padStart(6, "0")}\n`);
  const whole = newPath();
  const once = new AttemptOutput(whole, { limitBytes: 5000 });
  for (let n = 0; n < 5000; n++) await once.append(n % 2, line(n));
  await once.end();
  const path = newPath();
  let output = new AttemptOutput(path, { limitBytes: 5000 });
  for (let n = 0; n < 5000; n++) {
    if (n % 700 === 699) {
      await output.flush();
      output = new AttemptOutput(path, { limitBytes: 5000, reopen: true });
      assert.equal(output.receivedFrom(0) + output.receivedFrom(1), n * 9);
    }
    await output.append(n % 2, line(n));
  }
  await output.end();
  assert.equal(readFileSync(path, "utf8"), readFileSync(whole, "utf8"));
});

test("the API tells when bytes came, and from where", async () => {
  await using rig = await startRig({
    files: {
      ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
        stage("s", { async t() {
          console.log("own");
          await run("any", "echo one");
          await run("any", "echo two");
          console.log("end");
        } });`,
    },
  });
  const begun = Date.now();
  const { id } = await rig.run();
  const { marks } = await rig.get<OutputMarksView>(`/api/runs/${id}/tasks/s/t/output/marks`);
  assert.deepEqual(
    marks.map(([offset, , source]) => [offset, source]),
    [
      [0, 0],
      [4, 1],
      [8, 2],
      [12, 0],
    ],
  );
  for (const [, atMs] of marks) assert.ok(atMs >= begun && atMs <= Date.now());
  const rest = await rig.get<OutputMarksView>(`/api/runs/${id}/tasks/s/t/output/marks?from=8`);
  assert.deepEqual(rest.marks, marks.slice(2));
  assert.equal((await fetch(`${rig.url}/api/runs/1/tasks/s/t/output/marks?attempt=2`)).status, 404);
});
