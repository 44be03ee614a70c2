import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameReader } from "../../../runtime/host/python/frames.js";

const printed = (bytes: number) => `${JSON.stringify({ type: "printed", bytes })}\n`;

test("messages and their bytes come whole, however they are cut", () => {
  const stream = Buffer.from(`${printed(3)}abc${printed(0)}{"type":"loading"}\n${printed(2)}\n\n`);
  for (let size = 1; size <= stream.length; size++) {
    const reader = new FrameReader();
    const frames = [];
    for (let at = 0; at < stream.length; at += size)
      frames.push(...reader.read(stream.subarray(at, at + size)));
    assert.deepEqual(
      frames.map(({ message, payload }) => [message.type, payload.toString()]),
      [
        ["printed", "abc"],
        ["printed", ""],
        ["loading", ""],
        ["printed", "\n\n"],
      ],
    );
  }
});

test("a line of many pieces is put together once, and one without an end is refused", () => {
  const piece = Buffer.alloc(64 * 1024, 32);
  const reader = new FrameReader();
  // Blanks are nothing in JSON. Piece by piece it would be copied 300 times, 3 GB in all.
  for (let count = 0; count < 300; count++) assert.deepEqual([...reader.read(piece)], []);
  const [frame] = [...reader.read(Buffer.from('{"type":"loading"}\n'))];
  assert.equal(frame?.message.type, "loading");
  assert.throws(() => {
    for (;;) [...reader.read(piece)];
  }, /without an end/);
  assert.throws(() => [...new FrameReader().read(Buffer.from(printed(2 ** 30)))], /a message of/);
});

test("what came whole before a line that is none is given", () => {
  const given: string[] = [];
  assert.throws(() => {
    const stream = Buffer.from(`${printed(3)}abcno message\n`);
    for (const { payload } of new FrameReader().read(stream)) given.push(payload.toString());
  }, SyntaxError);
  assert.deepEqual(given, ["abc"]);
});
