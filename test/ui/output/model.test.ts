// What the page makes of an output, without a page.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { dockerCommand, dockerScript } from "../../../src/model/docker-command.js";
import { shellWord } from "../../../src/model/shell-word.js";
import type { OutputFold } from "../../../src/wire/boss.js";
import { FoldMap, foldKey } from "../../../ui/output/fold-map.js";
import { markHits, partsOf } from "../../../ui/output/line-parts.js";
import { LineNumbers } from "../../../ui/output/matches.js";
import { hitsIn } from "../../../ui/output/query.js";
import { contentHeight, rowAt, scrollOf } from "../../../ui/output/scroll-map.js";
import { Times } from "../../../ui/output/times.js";

const links = (text: string) =>
  partsOf(text).parts.flatMap((part) => (part.kind === "link" ? [part.href] : []));

describe("links in an output", () => {
  const cases: [string, string[]][] = [
    ["see https://example.com/a?b=1&c=2.", ["https://example.com/a?b=1&c=2"]],
    ["(http://x/y)", ["http://x/y"]],
    ["http://x/a_(b)", ["http://x/a_(b)"]],
    ["<http://x/>", ["http://x/"]],
    ['"http://x/"', ["http://x/"]],
    ["http://[::1]:9001/runs", ["http://[::1]:9001/runs"]],
    ["http://a, http://b", ["http://a", "http://b"]],
    ["javascript:alert(1) file:///etc/passwd data:text/html,x ftp://x", []],
    ["http://", []],
    // Shown as it is: what stands before the "@" only looks like a host.
    ["https://bank.example@evil.example/", []],
    // Letters that look like others are no part of a link.
    ["https://exаmple.com/", ["https://ex"]],
    ["https://x/\u202egpj.exe", ["https://x/"]],
  ];
  for (const [text, expected] of cases) {
    test(JSON.stringify(text), () => assert.deepEqual(links(text), expected));
  }

  test("a link shows where it leads, whatever colors it has", () => {
    const { parts } = partsOf("a \x1b[31mhttp://x\x1b[32m/y\x1b[0m b");
    const pieces = parts.filter((part) => part.kind === "link");
    assert.equal(pieces.map(({ text }) => text).join(""), "http://x/y");
    assert.ok(pieces.every((part) => part.kind === "link" && part.href === "http://x/y"));
  });

  test("a link that the terminal would hide behind a text is only its text", () => {
    const { parts, text } = partsOf("\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\");
    assert.equal(text, "click");
    assert.ok(parts.every(({ kind }) => kind === "text"));
  });
});

describe("characters that deceive", () => {
  for (const [name, char] of [
    ["right-to-left override", "\u202e"],
    ["isolate", "\u2066"],
    ["zero width space", "\u200b"],
    ["byte order mark", "\ufeff"],
    ["soft hyphen", "\u00ad"],
    ["line separator", "\u2028"],
    ["Hangul filler", "\u3164"],
    ["tag", "\u{e0041}"],
    ["lonely joiner", "\u200d"],
  ] as const) {
    test(`${name} is shown`, () => {
      const odd = partsOf(`a ${char} b`).parts.find(({ kind }) => kind === "odd");
      assert.ok(odd?.kind === "odd");
      assert.match(odd.words, /^U\+[0-9A-F]{4,5}$/);
    });
  }
  for (const text of ["שלום עולם", "日本語", "👩‍👩‍👧", "👩🏽‍💻", "क्‍ष", "naïve café ☕️"]) {
    test(`${text} stays as it is`, () => {
      const { parts } = partsOf(text);
      assert.deepEqual(
        parts.map((part) => [part.kind, part.text]),
        [["text", text]],
      );
    });
  }
});

test("no line throws, and what is painted is the text of the line", () => {
  const piece = fc.oneof(
    fc.string({ unit: "binary", maxLength: 20 }),
    fc.constantFrom(
      "\x1b[31m",
      "\x1b[",
      "\r",
      "\b",
      "\x1b[K",
      "\x1b[2G",
      "http://x/",
      "\u202e",
      "\x1b]0;",
    ),
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 12 }),
      fc.string({ maxLength: 3 }),
      (pieces, needle) => {
        const line = partsOf(pieces.join(""));
        assert.equal(line.parts.map(({ text }) => text).join(""), line.text);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: none may be left
        assert.doesNotMatch(line.text, /[\x00-\x08\x0a-\x1f\x7f-\x9f]/);
        if (needle === "") return;
        const query = { text: needle, isRegex: false, matchCase: false };
        const marked = markHits(line, hitsIn(line.text, query));
        assert.equal(marked.map(({ text }) => text).join(""), line.text);
      },
    ),
    { numRuns: 2000 },
  );
});

describe("folding", () => {
  const group = (first: number, last: number | null): OutputFold => ({
    kind: "group",
    first,
    last,
  });

  test("a section that has ended takes one row, one that is under way all its rows", () => {
    const map = new FoldMap(10, [group(2, 5), group(8, null)], new Set());
    assert.equal(map.rows, 7);
    assert.deepEqual(
      [0, 1, 2, 3, 4, 5, 6].map((row) => map.lineOf(row)),
      [1, 2, 6, 7, 8, 9, 10],
    );
    assert.deepEqual(
      [1, 2, 3, 5, 6, 10].map((line) => map.rowOf(line)),
      [0, 1, 1, 1, 2, 6],
    );
  });

  test("rows and lines fit, whatever is folded", () => {
    const fold = fc.record({
      kind: fc.constantFrom("group", "repeat", "headline"),
      first: fc.integer({ min: 1, max: 60 }),
      length: fc.option(fc.integer({ min: 0, max: 30 })),
      isToggled: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.array(fold, { maxLength: 12 }),
        (lines, some) => {
          const folds = some.map(
            ({ kind, first, length }): OutputFold => ({
              kind: kind as OutputFold["kind"],
              first,
              last: length === null ? null : first + length,
            }),
          );
          const toggled = new Set(folds.filter((_, i) => some[i]!.isToggled).map(foldKey));
          const map = new FoldMap(lines, folds, toggled);
          const seen: number[] = [];
          for (let row = 0; row < map.rows; row += 1) {
            const line = map.lineOf(row);
            assert.equal(map.rowOf(line), row);
            assert.equal(map.isHidden(line), false);
            seen.push(line);
          }
          for (let line = 1; line <= lines; line += 1) {
            assert.equal(map.isHidden(line), !seen.includes(line));
            assert.ok(map.lineOf(map.rowOf(line)) <= line);
          }
        },
      ),
    );
  });
});

test("every row of a million can be reached by scrolling, and the first and last exactly", () => {
  for (const rows of [601, 10_000, 1_000_000, 50_000_000]) {
    const extent = { rows, viewHeight: 700 };
    const range = contentHeight(extent) - 700;
    assert.equal(scrollOf(0, extent), 0);
    assert.equal(rowAt(0, extent), 0);
    assert.ok(Math.abs(rowAt(range, extent) - (rows - 35)) < 1e-6);
    for (const row of [1, 77, Math.floor(rows / 2), rows - 100]) {
      assert.ok(Math.abs(rowAt(scrollOf(row, extent), extent) - row) < 1e-4, `${row} of ${rows}`);
    }
  }
});

test("numbers of lines are found again", () => {
  const numbers = new LineNumbers();
  const all = Array.from({ length: 5000 }, (_, i) => 3 * i + 2);
  for (let at = 0; at < all.length; at += 700) numbers.add(all.slice(at, at + 700));
  assert.equal(numbers.length, 5000);
  assert.equal(numbers.from(1), 0);
  assert.equal(numbers.from(3), 1);
  assert.equal(numbers.from(99_999), 5000);
  assert.ok(numbers.has(5) && !numbers.has(6));
});

test("a pattern is tried on no long line, and found once", () => {
  const query = { text: "a+", isRegex: true, matchCase: false };
  assert.deepEqual(hitsIn("xAAy aa", query), [{ from: 1, to: 3 }]);
  assert.deepEqual(hitsIn("a".repeat(5000), query), []);
  assert.deepEqual(hitsIn("x", { ...query, text: "(" }), []);
  assert.deepEqual(hitsIn("İİaİa", { text: "a", isRegex: false, matchCase: false }), [
    { from: 2, to: 3 },
    { from: 4, to: 5 },
  ]);
});

test("words for the shell come back as they were", async () => {
  const { execFileSync } = await import("node:child_process");
  const words = ["a b", "it's", '"$HOME`id`"', "", "-n", "\\", "line\nfeed", "*", "ä;&|<>", "'"];
  const printed = execFileSync("sh", ["-c", `printf '%s\\0' ${words.map(shellWord).join(" ")}`]);
  assert.deepEqual(printed.toString().split("\0").slice(0, -1), words);
});

test("a call as a command holds its limits, and names of secrets only", () => {
  const command = dockerCommand({
    image: "python:3.12",
    command: "pytest -k 'a b'",
    env: { CI: "1", WORDS: "two words" },
    secrets: ["TOKEN"],
    workdir: "/work dir",
    user: "1000:1000",
    cpus: 1.5,
    memoryBytes: 1024,
    network: false,
    timeoutMs: 90_500,
  });
  assert.equal(
    command,
    "timeout 91 docker run --rm --init -e CI=1 -e 'WORDS=two words' -e TOKEN -w '/work dir' " +
      "-u 1000:1000 --cpus 1.5 --memory 1024 --memory-swap 1024 --network none " +
      "--entrypoint sh python:3.12 -c 'pytest -k '\\''a b'\\'''",
  );
});

test("a call that sees its source mounts a checkout of it, and says what else it needs", () => {
  const call = { image: "node:22", command: "npm test", sourcePath: "/my src" };
  const sources = [
    { kind: "git", url: "https://h/r", ref: "main", commit: "c0", tree: "t" },
  ] as const;
  const services = [{ name: "db", image: "postgres:17" }];
  const whole = ["bettertest", "repro", "4", "unit.red one"];
  const script = (more: object, around = { sources, services }) =>
    dockerScript([{ ...call, ...more, around }], whole).split("\n");
  assert.deepEqual(script({}), [
    "# bettertest repro 4 'unit.red one'",
    "# 'to be run in a checkout of https://h/r at c0'",
    "# 'without its service db (postgres:17)'",
    `docker run --rm --init -w '/my src' -v "$PWD"':/my src' --entrypoint sh node:22 -c 'npm test'`,
  ]);
  assert.match(script({ workdir: "/elsewhere" }).at(-1)!, / -w \/elsewhere /);
  assert.deepEqual(script({ image: "bettertest-image:ab", secrets: ["KEY"] }).slice(2, 4), [
    "# 'set these yourself before: KEY'",
    "# 'bettertest-image:ab is an image that a worker has built: build it here, and name yours instead'",
  ]);
  assert.deepEqual(script({ builds: true, command: "docker build ." }).slice(1, 2), [
    "# 'to be run in a checkout of https://h/r at c0'",
  ]);
  const bare = dockerScript(
    [{ image: "i", command: "true", around: { sources, services: [] } }],
    whole,
  );
  assert.equal(bare, "docker run --rm --init --entrypoint sh i -c true", "it lacks nothing");
});

test("times count from the first byte, and say where the last command's output ends", () => {
  const times = new Times([
    [0, 1000, 0],
    [10, 1250, 1],
    [90, 64_000, 2],
    [100, 65_000, 0],
  ]);
  assert.equal(times.since(0), "+0.00s");
  assert.equal(times.since(50), "+0.25s");
  assert.equal(times.since(95), "+1m03.0s");
  assert.equal(times.endOfCalls(120), 100);
  assert.equal(new Times([]).since(5), null);
  assert.equal(new Times([[0, 5, 0]]).endOfCalls(9), null);
});

test("times go on behind what is known of them", () => {
  const known = new Times([
    [0, 0, 0],
    [5, 1000, 1],
  ]);
  assert.equal(known.lastOffset, 5);
  const more = known.withMarks(
    [
      [5, 1500, 1],
      [9, 2000, 0],
    ],
    5,
  );
  assert.deepEqual(
    [4, 5, 9].map((offset) => more.at(offset)),
    [0, 1500, 2000],
  );
  assert.equal(more.endOfCalls(20), 9);
  assert.equal(more.withMarks([], 0).at(9), null);
});
