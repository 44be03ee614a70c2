import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeSse, parseSse, type SseMessage, sseKeepAlive } from "../../src/lib/sse.js";

async function parse(bytes: Uint8Array, chunkSize: number): Promise<SseMessage[]> {
  async function* chunks() {
    for (let i = 0; i < bytes.length; i += chunkSize) yield bytes.subarray(i, i + chunkSize);
  }
  const messages: SseMessage[] = [];
  for await (const message of parseSse(chunks())) messages.push(message);
  return messages;
}

test("what is encoded is parsed to the same, however it is cut", async () => {
  const messages: SseMessage[] = [
    { event: "log", data: "plain" },
    { event: "log", data: "two\nlines", id: "2" },
    { event: "log", data: "", id: "2" },
    { event: "log", data: " leading space, ünïcödé €, 🙂, : colon", id: "4" },
    { event: "log", data: "\n\n", id: "4" },
  ];
  const bytes = Buffer.from(messages.map(encodeSse).join(sseKeepAlive));
  for (let size = 1; size <= 20; size++) assert.deepEqual(await parse(bytes, size), messages);
  assert.deepEqual(await parse(bytes, bytes.length), messages);
});

test("random texts survive random cuts", async () => {
  const alphabet = ["a", "\n", ":", " ", "é", "🙂", "data", "event: x", "\0", "\t"];
  const pick = (n: number) => Math.floor(Math.random() * n);
  for (let round = 0; round < 500; round++) {
    const text = Array.from({ length: pick(30) }, () => alphabet[pick(alphabet.length)]).join("");
    const message = { event: "log", data: text };
    assert.deepEqual(
      await parse(Buffer.from(encodeSse(message)), 1 + pick(9)),
      [message],
      JSON.stringify(text),
    );
  }
});

test("carriage returns in data become line breaks, and no new field", async () => {
  const encoded = encodeSse({ event: "log", data: "a\revent: evil\r\nid: 9" });
  assert.deepEqual(await parse(Buffer.from(encoded), 3), [
    { event: "log", data: "a\nevent: evil\nid: 9" },
  ]);
});

test("lines may end in CRLF, fields without a space or colon count, an unfinished message does not", async () => {
  const text = "event:a\r\ndata:1\r\n\r\ndata\n\n: comment\n\nunknown: x\ndata: 2\n\ndata: never";
  assert.deepEqual(await parse(Buffer.from(text), 4), [
    { event: "a", data: "1" },
    { event: "message", data: "" },
    { event: "message", data: "2" },
  ]);
});

test("a message too long to hold is an error, not a full memory", async () => {
  async function* endless() {
    yield Buffer.from("data: ");
    for (;;) yield Buffer.alloc(1000, "x");
  }
  await assert.rejects(async () => {
    for await (const _ of parseSse(endless(), { maxMessageLength: 10_000 }));
  }, /too long/);
});

test("a long line costs its length, not its square", async () => {
  const encoded = Buffer.from(encodeSse({ event: "log", data: "x".repeat(20_000_000) }));
  const [message] = await parse(encoded, 4096);
  assert.equal(message?.data.length, 20_000_000);
});
