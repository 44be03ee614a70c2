// Results files, tar archives and patterns: all of them may be made by the code under test.

import assert from "node:assert/strict";
import fc from "fast-check";
import { filePattern, patternProblem } from "../../src/lib/file-pattern.js";
import { readTar } from "../../src/lib/tar.js";
import { isSafePath, PackReader, packedFileLine } from "../../src/wire/file-pack.js";
import { readReport } from "../boss/results/read.js";
import { fuzz, fuzzAsync, textOf } from "./fuzz.js";

const xml = textOf(
  [
    ...["<testsuite>", "</testsuite>", '<testcase name="a">', "</testcase>", "<testcase/>", "<"],
    ...[
      '<failure message="b">',
      "</failure>",
      "<skipped/>",
      "<![CDATA[",
      "]]>",
      "]]",
      "&amp;",
      "&#",
    ],
    ...[
      "&x;",
      "<!--",
      "-->",
      "<?",
      "?>",
      "<!DOCTYPE a [",
      "]>",
      '"',
      "'",
      ">",
      "/>",
      " ",
      "=",
      "\n",
    ],
  ],
  16,
);
const tap = textOf(
  [
    ...[
      "ok",
      "not ok",
      " 1",
      " - a",
      "\n",
      "    ",
      "# Subtest: b",
      "1..2",
      "1..",
      "  ---",
      "  ...",
    ],
    ...[
      " # SKIP",
      " # TODO x",
      "Bail out!",
      "TAP version 13",
      "  error: |-",
      "  at:",
      "\r\n",
      " {",
      "}",
    ],
  ],
  16,
);
const chunk = fc.integer({ min: 1, max: 9 });

for (const [name, text] of Object.entries({ xml, tap })) {
  fuzz(
    `a report (${name}) is read the same in whatever chunks it comes, and never throws`,
    fc.tuple(text, chunk),
    ([report, bytes]) => {
      const whole = readReport(report);
      const cut = readReport(report, bytes);
      assert.deepEqual(cut.tests, whole.tests);
      assert.equal(cut.problem === null, whole.problem === null);
      for (const { name: test } of whole.tests) assert.notEqual(test, "");
    },
  );
}

const word = fc.string({ unit: "grapheme", maxLength: 12 });

fuzz(
  "what a reporter writes right is read right",
  fc.array(
    fc.record({
      name: word,
      message: word,
      verdict: fc.constantFrom("passed", "failed", "skipped"),
    }),
    {
      maxLength: 6,
    },
  ),
  (told) => {
    const cases = told.map(({ name, message, verdict }) => {
      const child = { passed: "", failed: "failure", skipped: "skipped" }[verdict];
      const inner = child === "" ? "" : `<${child} message="${written(message)}"/>`;
      return `<testcase name="${written(name)}">${inner}</testcase>`;
    });
    const { tests, problem } = readReport(`<testsuite>${cases.join("\n")}</testsuite>`);
    assert.equal(problem, null);
    assert.deepEqual(
      tests.map(({ name, verdict }) => [name, verdict]),
      told.map(({ name, verdict }) => [decoded(name) || "(no name)", verdict]),
    );
  },
);

/** What cannot be written in UTF-8 is replaced on the way. */
function decoded(text: string): string {
  return Buffer.from(text).toString();
}

function written(text: string): string {
  return text.replace(/[&<"]/g, (char) => `&#${char.charCodeAt(0)};`);
}

const pattern = textOf(["a", "b", "*", "**", "?", "/", ".", "..", "{", "}", ",", "./"], 8);

fuzz(
  "a pattern is refused or cannot leave its folder",
  fc.tuple(pattern, pattern),
  ([text, path]) => {
    if (patternProblem(text) !== null) return;
    const compiled = filePattern(text);
    assert.ok(!compiled.home.startsWith("/") && !compiled.home.split("/").includes(".."));
    const matches = compiled.matches(path);
    if (matches && compiled.home !== "") {
      assert.ok(
        path === compiled.home || path.startsWith(`${compiled.home}/`),
        `${path} by ${text}`,
      );
    }
  },
);

fuzz(
  "a path that is kept stays below the folder it is kept in",
  textOf(["a", "/", "..", ".", "\\", "\0", "//", "c:"], 6),
  (path) => {
    if (!isSafePath(path)) return;
    assert.ok(
      new URL(path.replaceAll("%", "%25"), "file:///base/").pathname.startsWith("/base/") ||
        path.includes(":"),
    );
    assert.ok(!path.startsWith("/") && !path.includes("\\") && !path.split("/").includes(".."));
  },
);

fuzzAsync(
  "bytes that are no archive are refused, or have no more in them than there is",
  fc.uint8Array({ maxLength: 2048 }),
  async (bytes) => {
    async function* chunks() {
      yield bytes;
    }
    let total = 0;
    try {
      for await (const entry of readTar(chunks())) {
        for await (const part of entry.content()) total += part.length;
      }
    } catch (error) {
      assert.ok(error instanceof Error);
    }
    assert.ok(total <= bytes.length);
  },
  { fewer: 4 },
);

fuzzAsync(
  "a pack comes apart into the files that were put into it",
  fc.tuple(fc.array(fc.tuple(word, fc.uint8Array({ maxLength: 40 })), { maxLength: 5 }), chunk),
  async ([files, size]) => {
    const pack = Buffer.concat(
      files.flatMap(([path, bytes]) => [
        packedFileLine({ path, bytes: bytes.length, uses: ["artifact"] }),
        bytes,
      ]),
    );
    const found: [string, number[]][] = [];
    const reader = new PackReader({
      begin: ({ path }) => void found.push([path, []]),
      bytes: (part) => void found.at(-1)![1].push(...part),
      end: () => {},
    });
    for (let at = 0; at < pack.length; at += size) await reader.push(pack.subarray(at, at + size));
    reader.end();
    assert.deepEqual(
      found,
      files.map(([path, bytes]) => [decoded(path), [...bytes]]),
    );
  },
  { fewer: 4 },
);
