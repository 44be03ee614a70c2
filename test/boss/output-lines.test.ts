// Outputs by line: whatever bytes come, in whatever pieces, lines are what a plain reading finds.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { errorWeight } from "../../src/boss/output/error-lines.js";
import { LineIndex } from "../../src/boss/output/line-index.js";
import { headBytes, readLines, tailBytes } from "../../src/boss/output/line-reader.js";
import { type SearchOrder, search } from "../../src/boss/output/output-search-thread.js";
import { encodeLook, plainLook } from "../../src/model/sgr.js";
import { parseLine } from "../../src/model/terminal-line.js";
import type { OutputLines, OutputMatches, OutputOutline } from "../../src/wire/boss.js";
import { startRig } from "../rig/rig.js";

const folder = mkdtempSync(join(tmpdir(), "bettertest-lines-"));
after(() => rmSync(folder, { recursive: true }));
const path = join(folder, "output");

function indexOf(bytes: Buffer, chunkBytes = bytes.length || 1): LineIndex {
  const index = new LineIndex();
  // Into the same memory again and again, as whoever reads a file does.
  const chunk = Buffer.alloc(chunkBytes);
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    index.append(chunk.subarray(0, bytes.copy(chunk, 0, at, at + chunkBytes)));
  }
  index.end();
  return index;
}

const folds = (index: LineIndex) =>
  index.folds.map(({ kind, first, last }) => `${kind} ${first}-${last}`).sort();

const piece = fc.oneof(
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.constantFrom(
    "\n",
    "\n",
    "\n",
    "same\n",
    "same\n",
    "\x1b[31m",
    "\x1b[0m",
    "\x1b[1;3",
    "4m",
    "\r\n",
  ),
  fc.constantFrom(
    "::group::a\n",
    "::endgroup::\n",
    "--- x\n",
    "+++ y\n",
    "##[group]b\n",
    "é".repeat(300),
  ),
);
const output = fc.array(piece, { maxLength: 60 }).map((pieces) => Buffer.from(pieces.join("")));

test("the index is the same, however the bytes are cut", () => {
  fc.assert(
    fc.property(output, fc.integer({ min: 1, max: 40 }), (bytes, chunkBytes) => {
      const whole = indexOf(bytes);
      const cut = indexOf(bytes, chunkBytes);
      assert.equal(cut.lines, whole.lines);
      assert.deepEqual(cut.checkpoints, whole.checkpoints);
      assert.deepEqual(folds(cut), folds(whole));
    }),
    { numRuns: 1500 },
  );
});

test("a line is compared with the one before, though that one's memory is used again", () => {
  const lines = Array.from({ length: 50 }, (_, i) => `${100 + i}\n`);
  assert.deepEqual(folds(indexOf(Buffer.from(lines.join("")), 4)), []);
});

test("any range of lines is what a plain reading finds, with the look it starts with", async () => {
  const many = fc
    .tuple(output, fc.integer({ min: 1, max: 40 }))
    .map(([bytes, times]) => Buffer.concat(Array.from({ length: times }, () => bytes)));
  await fc.assert(
    fc.asyncProperty(
      many,
      fc.nat(900),
      fc.integer({ min: 1, max: 300 }),
      async (bytes, first, count) => {
        const all = bytes.toString("latin1").split("\n");
        if (all.at(-1) === "") all.pop();
        // What becomes of longer ones is told below.
        fc.pre(all.every((line) => line.length <= headBytes + tailBytes));
        writeFileSync(path, bytes);
        const read = await readLines(path, indexOf(bytes, 777), { first, count });
        const expected = all.slice(first, first + count);
        assert.equal(read.extent.lines, all.length);
        assert.deepEqual(
          read.lines,
          expected.map((line) => Buffer.from(line, "latin1").toString("utf8")),
        );
        let offset = all.slice(0, first).reduce((sum, line) => sum + line.length + 1, 0);
        for (const [i, line] of expected.entries()) {
          assert.equal(read.offsets[i], offset);
          offset += line.length + 1;
        }
        let look = plainLook;
        for (const line of all.slice(0, first)) look = parseLine(line, look).look;
        if (expected.length > 0) assert.equal(read.looks[first + 1] ?? "", encodeLook(look));
      },
    ),
    { numRuns: 150 },
  );
});

test("of long lines both ends are read, and those behind them keep their numbers and looks", async () => {
  const long = (bytes: number) => `\x1b[32m${"é".repeat(bytes / 2)}end`;
  const lines = [
    "a",
    long(20_000),
    "b",
    long(300_000),
    "c",
    long(3_000_000),
    "d",
    "x".repeat(500_000),
  ];
  writeFileSync(path, lines.join("\n"));
  const bytes = Buffer.from(lines.join("\n"));
  const index = indexOf(bytes, 65_536);
  assert.equal(index.lines, 8);
  for (let first = 0; first < lines.length; first += 1) {
    const read = await readLines(path, index, { first, count: 8 });
    for (const [i, line] of read.lines.entries()) {
      const whole = Buffer.from(lines[first + i]!);
      if (typeof line === "string") assert.equal(line, lines[first + i]);
      else {
        assert.equal(line.bytes, whole.length);
        assert.equal(line.head, whole.toString("utf8", 0, line.hiddenFrom));
        assert.equal(line.tail, whole.toString("utf8", line.hiddenTo));
        assert.ok(!`${line.head}${line.tail}`.includes("\ufffd"));
      }
    }
    if (first > 1) assert.equal(read.looks[first + 1], "38;5;2");
  }
});

test("the index of a hundred megabytes stays small", () => {
  const chunk = Buffer.from("some words that fill a line of a log, as they do\n".repeat(1300));
  const index = new LineIndex();
  for (let i = 0; i < 1600; i += 1) index.append(Buffer.from(chunk));
  index.end();
  assert.equal(index.lines, 1300 * 1600);
  assert.ok(index.checkpoints.length < 10_000, `${index.checkpoints.length}`);
  assert.deepEqual(folds(index), [`repeat 0-${1300 * 1600 - 1}`]);
});

describe("folds", () => {
  const foldsOf = (...lines: string[]) => folds(indexOf(Buffer.from(lines.join("\n"))));
  test("sections in sections, one without an end", () => {
    assert.deepEqual(
      foldsOf(
        "::group::a",
        "1",
        "::group::b",
        "2",
        "::endgroup::",
        "3",
        "::endgroup::",
        "##[group]c",
        "4",
      ),
      ["group 0-6", "group 2-4", "group 7-8"],
    );
  });
  test("headlines end where the next one begins", () => {
    assert.deepEqual(foldsOf("--- a", "1", "+++ b", "2", "3", "--- c", "4"), [
      "headline 0-1",
      "headline 2-4",
      "headline 5-6",
    ]);
  });
  test("the head of a diff is no headline", () => {
    assert.deepEqual(foldsOf("--- a/file", "+++ b/file", "@@ -1 +1 @@"), []);
  });
  test("four equal lines are repeated, three are not, empty ones never", () => {
    assert.deepEqual(foldsOf("a", "b", "b", "b", "c", "d", "d", "d", "d", "d"), ["repeat 5-9"]);
    assert.deepEqual(foldsOf(..."\n".repeat(9).split("")), []);
  });
});

describe("search", () => {
  const find = (text: string, what: SearchOrder["what"], line = 0, offset = 0) => {
    writeFileSync(path, text);
    const bytes = Buffer.byteLength(text);
    const parts = [...search({ path, line, offset, bytes, what })];
    assert.equal(parts.at(-1)?.done, true);
    return { lines: parts.flatMap((part) => part.lines), count: parts.at(-1)!.count };
  };
  const word = (text: string, matchCase = false) => ({ kind: "text", text, matchCase }) as const;
  const regex = (source: string) => ({ kind: "regex", source, matchCase: true }) as const;

  test("finds what people read, not what is between it", () => {
    const text = "a\x1b[31mb\x1b[0mc\nABC\n10%\rabc done\nab\x1b[0;1mc\x1b]0;abc\x07\nnone";
    assert.deepEqual(find(text, word("abc")).lines, [0, 1, 2, 3]);
    assert.deepEqual(find(text, word("abc", true)).lines, [0, 2, 3]);
    assert.deepEqual(find(text, word("10%")).lines, []);
    assert.deepEqual(find(text, regex("^a.c$")).lines, [0, 3]);
    assert.deepEqual(find(text, regex("none$")).lines, [4]);
  });

  test("finds every line that a plain reading finds, in blocks of any content", () => {
    const line = fc.constantFrom(
      "one",
      "two words",
      "needle here",
      "",
      "NEEDLE",
      "x".repeat(3000),
      "é needle",
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 50 }), fc.nat(900), (lines, times) => {
        const all = Array.from({ length: times }, () => lines).flat();
        const expected = all.flatMap((text, i) => (/needle/i.test(text) ? [i] : []));
        assert.deepEqual(find(all.join("\n"), word("needle")).lines, expected);
        assert.deepEqual(find(all.join("\n"), regex("[nN](?:eedle|EEDLE)")).lines, expected);
      }),
      { numRuns: 25 },
    );
  });

  test("a line longer than a block is found once, also where a piece ends", () => {
    const long = `${"x".repeat(1024 * 1024 - 3)}needle${"x".repeat(2_000_000)}needle`;
    assert.deepEqual(find(`a\n${long}\nneedle`, word("needle")), { lines: [1, 2], count: 2 });
    assert.deepEqual(find(`a\n${long}\nneedle`, regex("needle")), { lines: [1, 2], count: 2 });
  });
});

describe("lines that say what went wrong", () => {
  const strong = [
    "Traceback (most recent call last):",
    "E       assert 41 == 42",
    "FAILED test/test_models.py::test_total - assert 41 == 42",
    "ValueError: bad value",
    "  ● sums › adds two numbers",
    "  ✗ adds two numbers",
    "Error: Cannot find module './x'",
    "TypeError [ERR_X]: no",
    "not ok 3 - adds",
    "src/a.ts(3,5): error TS2322: Type 'x' is not assignable",
    "main.c:3:5: error: expected ';'",
    "main.c:1:10: fatal error: x.h: No such file or directory",
    "error[E0308]: mismatched types",
    "error: could not compile `x`",
    "thread 'main' panicked at src/main.rs:2:5:",
    "--- FAIL: TestTotal (0.00s)",
    "panic: runtime error: index out of range",
    "/usr/bin/ld: x.o: undefined reference to `f'",
    "sh: 1: pytest: not found",
    "npm ERR! code ELIFECYCLE",
    "make: *** [Makefile:2: all] Error 1",
    "2026-01-01T10:00:00Z Error: boom",
    "[12:00:01] ValueError: bad",
    "##[error]Process completed with exit code 1.",
  ];
  for (const line of strong) test(line, () => assert.equal(errorWeight(line), 2));
  for (const line of ["it failed badly", "3 errors found", "Test failure in x"]) {
    test(line, () => assert.equal(errorWeight(line), 1));
  }
  const fine = [
    "0 errors",
    "no failures",
    "errors: 0",
    "all passed",
    "error-free",
    "ok 3 - errors are caught".slice(0, 6),
  ];
  for (const line of fine) test(line, () => assert.equal(errorWeight(line), 0));
});

describe("over HTTP", () => {
  const pipedef = `
    import { run, stage } from "bettertest";
    stage("Unit", {
      lines: () => run("WORKER_URL", "any", "seq 1 5000; echo Error: boom"),
      silent: () => run("WORKER_URL", "any", "true"),
    });`;

  test("outline, lines and search; what does not fit is refused in words", async () => {
    await using rig = await startRig({ files: { ".bettertest/pipedef.ts": pipedef } });
    await rig.run();
    const base = "/api/runs/1/tasks/Unit/lines/output";
    const jsonLines = async <T>(url: string): Promise<T[]> => {
      const text = await (await fetch(rig.url + url)).text();
      return text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line));
    };
    const outline = await jsonLines<OutputOutline>(`${base}/outline?follow=1`);
    assert.deepEqual(outline.at(-1), { lines: 5001, bytes: 23_905, ended: true, folds: [] });

    const read = await rig.get<OutputLines>(`${base}/lines?from=4999&count=10`);
    assert.deepEqual([read.from, read.lines], [4999, ["4999", "5000", "Error: boom"]]);
    assert.deepEqual((await rig.get<OutputLines>(`${base}/lines?from=9999`)).lines, []);
    const none = await rig.get<OutputLines>("/api/runs/1/tasks/Unit/silent/output/lines");
    assert.deepEqual(none, {
      extent: { lines: 0, bytes: 0, ended: true },
      from: 1,
      lines: [],
      offsets: [],
      looks: {},
    });

    const matches = async (query: string) => {
      const parts = await jsonLines<OutputMatches>(`${base}/search?${query}`);
      const last = parts.at(-1)!;
      return { lines: parts.flatMap(({ lines }) => lines), count: last.count, done: last.done };
    };
    assert.deepEqual(await matches("q=499%5Cd&regex=1&from=4995"), {
      lines: [4995, 4996, 4997, 4998, 4999],
      count: 5,
      done: true,
    });
    assert.deepEqual((await matches("errors=1")).lines, [5001]);

    for (const [query, field] of [
      ["q=", "q"],
      ["q=(&regex=1", "q"],
      ["q=x&from=0", "from"],
    ] as const) {
      const response = await fetch(`${rig.url}${base}/search?${query}`);
      assert.equal(response.status, 400);
      assert.equal(((await response.json()) as { field: string }).field, field);
    }
    assert.equal((await fetch(`${rig.url}${base}/lines?count=2001`)).status, 400);
    assert.equal((await fetch(`${rig.url}${base}/lines?attempt=2`)).status, 404);
  });

  test("a pattern that takes for ever is given up, and others go on meanwhile", async () => {
    const { OutputSearch, SearchTooLong } = await import("../../src/boss/output/output-search.js");
    const searches = new OutputSearch({ limitMs: 1500 });
    writeFileSync(path, `${"a".repeat(60)}!\n`);
    const order = (source: string): SearchOrder => ({
      path,
      line: 0,
      offset: 0,
      bytes: 62,
      what: { kind: "regex", source, matchCase: true },
    });
    const never = new AbortController().signal;
    const evil = all(searches.search(order("^(a+)+$"), never));
    const refused = assert.rejects(evil, SearchTooLong);
    const good = await all(searches.search(order("!"), never));
    assert.deepEqual(good.at(-1)?.count, 1);
    await refused;
  });
});

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const result: T[] = [];
  for await (const value of values) result.push(value);
  return result;
}
