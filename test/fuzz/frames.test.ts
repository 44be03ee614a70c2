// What a pipedef's process sends to the boss: it may be anything.

import assert from "node:assert/strict";
import fc from "fast-check";
import { FrameReader as PythonFrames } from "../../runtime/host/python/frames.js";
import { encodeFrame, FrameReader } from "../../runtime/host/typescript/frames.js";
import { FromHome } from "../../runtime/host/typescript/messages.js";
import { cutAt, cuts, fuzz, textOf } from "./fuzz.js";

const odd = fc.oneof(
  fc.constantFrom<unknown>(null, true, 0, 1, -1, 1.5, 1e308, "", "x", [], {}, ["x"], { name: "x" }),
  textOf(['"', "\\", "\n", "é", "\u0000"], 3),
);
const keys = [
  "id",
  "task",
  "call",
  "bytes",
  "request",
  "worker",
  "end",
  "stages",
  "warnings",
  "files",
];
const types = [
  "ready",
  "file",
  "output",
  "call",
  "ended",
  "loaded",
  "problem",
  "printed",
  "exited",
];
const message = fc.record({
  head: fc.dictionary(fc.constantFrom(...keys), odd, { maxKeys: 4 }),
  type: fc.oneof(fc.constantFrom<unknown>(...types), odd),
  body: fc.uint8Array({ maxLength: 12 }),
});

fuzz(
  "frames of a child process are the same however they are cut, and any head is parsed or refused",
  fc.record({ messages: fc.array(message, { maxLength: 3 }), cuts }),
  ({ messages, cuts }) => {
    const sent = messages.map(({ head, type, body }) => ({ head: { ...head, type }, body }));
    const bytes = Buffer.concat(sent.map(({ head, body }) => encodeFrame(head, body)));
    const reader = new FrameReader();
    const got = cutAt(bytes, cuts).flatMap((chunk) => [...reader.read(Buffer.from(chunk))]);
    assert.equal(got.length, sent.length);
    for (const [at, { head, body }] of got.entries()) {
      assert.deepEqual(head, JSON.parse(JSON.stringify(sent[at]!.head)));
      assert.ok(Buffer.from(body).equals(sent[at]!.body));
      FromHome.safeParse(head);
    }
  },
);

fuzz(
  "bytes that are no frames end in an error, or wait for more, and cost nothing",
  fc.record({ bytes: fc.uint8Array({ maxLength: 40 }), cuts }),
  ({ bytes, cuts }) => {
    const reader = new FrameReader();
    try {
      for (const chunk of cutAt(bytes, cuts)) [...reader.read(Buffer.from(chunk))];
    } catch (error) {
      assert.ok(error instanceof Error);
    }
  },
);

const line = fc.oneof(
  message.map(({ head, type, body }) => ({ text: JSON.stringify({ ...head, type }), body })),
  fc.record({
    text: fc.nat({ max: 12 }).map((bytes) => JSON.stringify({ type: "printed", bytes })),
    body: fc.uint8Array({ minLength: 12, maxLength: 12 }),
  }),
);

/** Messages and payloads, and the words of the first line that is none. */
function pythonFrames(chunks: readonly Uint8Array[]): unknown[] {
  const reader = new PythonFrames();
  const seen: unknown[] = [];
  try {
    for (const chunk of chunks) {
      for (const { message, payload } of reader.read(Buffer.from(chunk))) {
        seen.push(message, Buffer.from(payload).toString("hex"));
      }
    }
  } catch (error) {
    assert.ok(error instanceof Error);
    seen.push(error.name);
  }
  return seen;
}

fuzz(
  "frames of an interpreter are the same however they are cut",
  fc.record({ lines: fc.array(line, { maxLength: 4 }), cuts }),
  ({ lines, cuts }) => {
    const bytes = Buffer.concat(
      lines.flatMap(({ text, body }) => [Buffer.from(`${text}\n`), Buffer.from(body)]),
    );
    const whole = pythonFrames([bytes]);
    const cut = pythonFrames(cutAt(bytes, cuts));
    assert.deepEqual(cut, whole);
  },
);
