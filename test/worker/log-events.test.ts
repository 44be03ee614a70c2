import assert from "node:assert/strict";
import { test } from "node:test";
import { LogEvents } from "../../src/worker/log-events.js";

function send(chunks: readonly (string | Uint8Array)[]): string {
  const events = new LogEvents();
  let sent = "";
  for (const chunk of chunks) sent += events.push(Buffer.from(chunk as string));
  return sent + events.end();
}

const log = (...lines: string[]) => lines.map((line) => `event: log\ndata: ${line}\n\n`).join("");

for (const [what, output, lines] of [
  ["lines", "a\nb\n", ["a", "b"]],
  ["no output", "", []],
  ["empty lines", "\n\n", ["", ""]],
  ["a last line without an end", "a\nb", ["a", "b"]],
  ["a bare carriage return as a line end", "10%\r20%\r100%\n", ["10%", "20%", "100%"]],
  ["CRLF as one line end", "a\r\nb\r\n", ["a", "b"]],
  ["a carriage return at the very end", "a\r", ["a"]],
  ["leading and trailing spaces", "  a  \n", ["  a  "]],
  ["what looks like SSE", "event: done\ndata: 0\n\n: x\n", ["event: done", "data: 0", "", ": x"]],
  ["a byte order mark", "\ufeffa\n", ["\ufeffa"]],
  ["NUL and escapes", "\0\u001b[31mred\u001b[0m\n", ["\0\u001b[31mred\u001b[0m"]],
] as const) {
  test(`${what}, whole and byte by byte`, () => {
    assert.equal(send([output]), log(...lines));
    assert.equal(send([...Buffer.from(output)].map((byte) => Uint8Array.of(byte))), log(...lines));
  });
}

test("a character cut in two is one character; a byte that is none becomes U+FFFD", () => {
  const euro = Buffer.from("€\n");
  assert.equal(send([euro.subarray(0, 1), euro.subarray(1)]), log("€"));
  assert.equal(send([Buffer.from([0x61, 0xff, 0x62, 0x0a])]), log("a\ufffdb"));
  assert.equal(send([Buffer.from([0x61, 0xe2, 0x82])]), log("a\ufffd"));
});

test("a very long line is sent in pieces of one event, so that it need not fit in memory", () => {
  const events = new LogEvents();
  const piece = "x".repeat(50_000);
  const sent = [piece, piece, piece, "\nnext\n"].map((text) => events.push(Buffer.from(text)));
  assert.ok(sent[1]!.length > 0, "nothing was sent before the end of the line");
  assert.equal(sent.join("") + events.end(), log(piece + piece + piece, "next"));
});

test("while an event is open nothing else may be sent, and its end closes it", () => {
  const events = new LogEvents();
  assert.equal(events.eventIsOpen, false);
  events.push(Buffer.from("x".repeat(100_000)));
  assert.equal(events.eventIsOpen, true);
  assert.equal(events.end(), "\n\n");
  assert.equal(events.eventIsOpen, false);
});
