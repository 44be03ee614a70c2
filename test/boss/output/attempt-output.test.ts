import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { AttemptOutput } from "../../../src/boss/output/attempt-output.js";
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
