import assert from "node:assert/strict";
import { test } from "node:test";
import { LineSplitter } from "../../../src/boss/output/lines.js";

test("lines are the task's, a byte order mark at the start too", () => {
  const splitter = new LineSplitter();
  const bytes = Buffer.from("\ufeffone\r\ntwo é");
  const lines = [...bytes].flatMap((byte) => splitter.push(Uint8Array.of(byte)));
  assert.deepEqual([...lines, ...splitter.end()], ["\ufeffone", "two é"]);
});
