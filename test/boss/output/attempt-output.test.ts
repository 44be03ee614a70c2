import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { AttemptOutput } from "../../../src/boss/output/attempt-output.js";
import { Outputs } from "../../../src/boss/output/outputs.js";
import { mountSmallDisk, noSmallDisk } from "../../rig/small-disk.js";

test("a boss that is killed right after the disk refused bytes: the next one knows that some are missing", {
  skip: noSmallDisk,
}, async () => {
  using disk = mountSmallDisk(1);
  const path = join(disk.folder, "output");
  const limits = { limitBytes: 1_000_000 };
  disk.fill();
  const output = new AttemptOutput(path, limits);
  output.append(0, Buffer.from("own\n"));
  await output.flush();
  // Nothing is ended: this is all that a kill leaves.
  disk.free();
  const next = new AttemptOutput(path, { ...limits, reopen: true });
  assert.equal(next.hasGap, true);
  await output.end();
  await next.end();
});

test("an attempt whose number an earlier boss has used, and could not write down, begins anew", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-outputs-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const pipeline = {
    stages: [{ name: "s", always: false, tasks: [{ name: "t" }] }],
    warnings: [],
  };
  const ref = { run: 1, pipeline, attempt: { stage: "s", task: "t", attempt: 1 } };
  // The first one is killed: nothing of it is ended but its file.
  for (const [call, text] of [
    [3, "of a boss that is gone\n"],
    [1, "hello\n"],
  ] as const) {
    const outputs = new Outputs(folder, { maxOutputBytes: 1_000_000 });
    const output = outputs.open(ref);
    output.append(call, Buffer.from(text));
    await output.flush();
    assert.equal(output.receivedFrom(call), text.length);
    await outputs.close(ref);
  }
  const outputs = new Outputs(folder, { maxOutputBytes: 1_000_000 });
  const chunks: Uint8Array[] = [];
  for await (const chunk of outputs.read(ref)) chunks.push(chunk);
  assert.equal(Buffer.concat(chunks).toString(), "hello\n");
  assert.deepEqual(
    (await outputs.marks(ref)).map(({ offset, source }) => ({ offset, source })),
    [{ offset: 0, source: 1 }],
  );
});
