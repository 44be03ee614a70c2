import assert from "node:assert/strict";
import { test } from "node:test";
import { createDemux } from "../../../src/worker/executors/demux.js";

function frame(stream: number, text: string): Buffer {
  const payload = Buffer.from(text);
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

test("payloads come out in order, however the stream is cut", () => {
  const texts = ["hello\n", "", "err", "x".repeat(300), "\u0001\0\0\0\0\0\0\u0005fake", "end"];
  const bytes = Buffer.concat(texts.map((text, i) => frame(1 + (i % 2), text)));
  for (let size = 1; size <= bytes.length; size++) {
    const payloadOf = createDemux();
    let output = "";
    for (let i = 0; i < bytes.length; i += size) {
      output += payloadOf(Buffer.from(bytes.subarray(i, i + size))).toString("latin1");
    }
    assert.equal(output, texts.join(""), `in chunks of ${size}`);
  }
});

test("a stream without frames is refused, not shown as output", () => {
  assert.throws(() => createDemux()(Buffer.from("plain text of a terminal")), /not in frames/);
});
