// What an engine answers comes in pieces of any size, and ends as its head says.

import assert from "node:assert/strict";
import fc from "fast-check";
import { type Answer, AnswerReader } from "../../src/worker/executors/engine/answer.js";
import { cutAt, cuts, fuzz, textOf } from "./fuzz.js";

const body = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  textOf(["\r\n", "0", "\r\n\r\n", "HTTP/1.1 200 OK", "{}"], 6).map((text) => Buffer.from(text)),
);
const head = fc.record({
  status: fc.constantFrom(200, 201, 404, 500),
  early: fc.constantFrom("", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 X\r\nA: b\r\n\r\n"),
  fields: fc.constantFrom("", "Api-Version: 1.41\r\n", "Connection: close\r\n"),
});
const name = fc.constantFrom(
  (text: string) => text,
  (text: string) => text.toLowerCase(),
);

function chunked(bytes: Uint8Array, at: readonly number[]): Buffer {
  const parts = cutAt(bytes, at).filter(({ length }) => length > 0);
  return Buffer.concat([
    ...parts.flatMap((part) => [
      Buffer.from(`${part.length.toString(16)};x=1\r\n`),
      part,
      Buffer.from("\r\n"),
    ]),
    Buffer.from("0\r\n\r\n"),
  ]);
}

fuzz(
  "an answer is the same however it is sent and cut",
  fc.record({
    head,
    name,
    body,
    form: fc.constantFrom("length", "chunked", "end"),
    cuts,
    inner: cuts,
  }),
  ({ head: { status, early, fields }, name: spelled, body: bytes, form, cuts: at, inner }) => {
    const how = {
      length: spelled(`Content-Length: ${bytes.length}\r\n`),
      chunked: spelled("Transfer-Encoding: chunked\r\n"),
      end: "",
    }[form]!;
    const sent = Buffer.concat([
      Buffer.from(`${early}HTTP/1.1 ${status} Words of it\r\n${fields}${how}\r\n`),
      form === "chunked" ? chunked(bytes, inner) : bytes,
    ]);
    const reader = new AnswerReader();
    const answers: Answer[] = [];
    for (const piece of cutAt(sent, at)) {
      assert.equal(answers.length === 0 || piece.length === 0, true, "it ended before its end");
      const answer = piece.length === 0 ? null : reader.push(Buffer.from(piece));
      if (answer) answers.push(answer);
    }
    if (form === "end") {
      assert.equal(answers.length, 0);
      answers.push(reader.end()!);
    } else assert.equal(reader.end(), null);
    const [answer] = answers;
    assert.equal(answer?.status, status);
    assert.deepEqual(Buffer.from(answer.body), Buffer.from(bytes));
    assert.equal(answer.staysOpen, form !== "end" && !fields.startsWith("Connection"));
  },
);
