import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { eachJsonLine, eachLine, readTail } from "../../src/terminal/output.js";

async function* chunksOf(text: string | Uint8Array, size: number) {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function linesOf(text: string | Uint8Array, size: number): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of eachLine(chunksOf(text, size))) lines.push(line);
  return lines;
}

suite("output for people", () => {
  test("lines are the same whatever the chunks", async () => {
    const text = "first\n\nthïrd 日本\nno end";
    for (let size = 1; size < 20; size++) {
      assert.deepEqual(await linesOf(text, size), ["first", "", "thïrd 日本", "no end"]);
    }
    assert.deepEqual(await linesOf("a\n", 1), ["a"]);
    assert.deepEqual(await linesOf("", 1), []);
  });

  test("bytes that are not UTF-8 become replacement characters", async () => {
    assert.deepEqual(await linesOf(Buffer.from([0x61, 0xff, 0x0a, 0xc3]), 1), [
      "a\ufffd",
      "\ufffd",
    ]);
  });

  test("a line of megabytes is cut, and counted", async () => {
    const [line, next] = await linesOf(`${"x".repeat(3_000_000)}\nnext\n`, 65_536);
    assert.equal(line, `${"x".repeat(4000)}… (2,996,000 more characters)`);
    assert.equal(next, "next");
  });

  test("programs get up to a MiB of a line, and what is missing as a number", async () => {
    const lines: unknown[] = [];
    const chunks = chunksOf(`${"x".repeat(2 ** 20 + 5)}\n${"y".repeat(5000)}\n`, 65_536);
    for await (const line of eachJsonLine(chunks)) lines.push(line);
    assert.deepEqual(lines, [
      { line: "x".repeat(2 ** 20), missing: 5 },
      { line: "y".repeat(5000) },
    ]);
  });

  test("the tail: the last lines, and how many came before", async () => {
    const text = Array.from({ length: 100 }, (_, index) => `line ${index}\n`).join("");
    for (const size of [1, 7, 10_000]) {
      const tail = await readTail(chunksOf(text, size), { lines: 3, bytes: 1000 });
      assert.deepEqual(tail, { lines: ["line 97", "line 98", "line 99"], omittedLines: 97 });
    }
  });

  test("the tail by bytes starts with a whole line", async () => {
    const text = "aaaa\nbbbb\ncccc\ndddd";
    const tail = await readTail(chunksOf(text, 1), { lines: 100, bytes: 12 });
    assert.deepEqual(tail, { lines: ["cccc", "dddd"], omittedLines: 2 });
  });

  test("no output is no lines", async () => {
    assert.deepEqual(await readTail(chunksOf("", 1), { lines: 3, bytes: 10 }), {
      lines: [],
      omittedLines: 0,
    });
  });
});
