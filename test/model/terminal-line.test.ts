import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { sectionMark } from "../../src/model/output-sections.js";
import { applySgr, decodeLook, encodeLook, plainLook } from "../../src/model/sgr.js";
import { parseLine, plainText } from "../../src/model/terminal-line.js";

describe("a line as a terminal leaves it", () => {
  const cases: [name: string, raw: string, text: string][] = [
    ["plain text", "  one\ttwo", "  one\ttwo"],
    ["colors", "\x1b[1;31mred\x1b[0m", "red"],
    ["a title (OSC, BEL)", "a\x1b]0;title\x07b", "ab"],
    ["a link (OSC 8, ST)", "\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\", "text"],
    ["a device control string", "a\x1bPq#0;2\x1b\\b", "ab"],
    ["a character set", "a\x1b(Bb", "ab"],
    ["bells and other controls", "a\x07\x00b\x7f\x9b", "ab"],
    ["keyboard modes", "a\x1b[>4;2mb\x1b[?25lc", "abc"],
    ["a progress bar", "10%\r20%\r100%", "100%"],
    ["a progress bar before its next state", "10%\r20%\r", "20%"],
    ["a shorter state", "downloading\rdone", "done"],
    ["a line feed of Windows", "text\r\n", "text"],
    ["a spinner of backspaces", "wait |\b/\b-\b\\", "wait \\"],
    [
      "npm: column 1, erase to the right",
      "⠙ idealTree\x1b[1G\x1b[0Kadded 3 packages",
      "added 3 packages",
    ],
    ["pip: erase the line", "  ━━━ 10%\r\x1b[2K  ━━━━━━ 100%", "  ━━━━━━ 100%"],
    ["cargo", "    Building 3/9\r\x1b[K   Compiling serde\r\x1b[K    Finished", "    Finished"],
    ["erased to the end", "abcdef\x1b[3D\x1b[K", "abc"],
    ["the cursor set right", "a\x1b[3Cb", "a   b"],
    ["deleted characters", "abcdef\x1b[1G\x1b[2P", "cdef"],
    ["a sequence without an end", "\x1b]0;no end", "]0;no end"],
    ["an ESC at the end", "a\x1b", "a"],
  ];
  for (const [name, raw, text] of cases) test(name, () => assert.equal(plainText(raw), text));

  test("no column is too far, no line too long", () => {
    const text = plainText("x\x1b[999999999Cy\x1b[2000000000Gz".repeat(50));
    assert.ok(text.length < 20_000, `${text.length}`);
    assert.ok(plainText(`a${"\x1b[4096@".repeat(2000)}`).length < 50_000);
  });
});

test("looks go from one line to the next", () => {
  const first = parseLine("a\x1b[1;38;5;208mb");
  assert.deepEqual(
    first.spans.map(({ text, look }) => [text, look.bold, look.fg]),
    [
      ["a", false, null],
      ["b", true, 208],
    ],
  );
  const second = parseLine("c\x1b[22;39md", first.look);
  assert.deepEqual(
    second.spans.map(({ text, look }) => [text, look.bold, look.fg]),
    [
      ["c", true, 208],
      ["d", false, null],
    ],
  );
});

describe("parameters of colors", () => {
  const cases: [string, string | number | null][] = [
    ["31", 1],
    ["97", 15],
    ["38;5;208", 208],
    ["38;2;1;2;3", "#010203"],
    ["38:2::1:2:3", "#010203"],
    ["38:2:1:2:3", "#010203"],
    ["38:5:9", 9],
    ["38;5;999", null],
    ["38;2;1;2", null],
    ["31;", null],
    ["58;5;3;32", 2],
    ["38;5;208;39", null],
  ];
  for (const [parameters, fg] of cases) {
    test(parameters, () => assert.equal(applySgr(plainLook, parameters).fg, fg));
  }

  test("a look survives its encoding", () => {
    const parameters = fc.array(fc.integer({ min: 0, max: 110 }), { maxLength: 12 });
    fc.assert(
      fc.property(parameters, (codes) => {
        const look = applySgr(plainLook, codes.join(";"));
        assert.deepEqual(decodeLook(encodeLook(look)), look);
      }),
    );
  });
});

test("marks of sections, and what only looks like one", () => {
  assert.deepEqual(sectionMark("::group::Install it\r"), { kind: "group", name: "Install it" });
  assert.deepEqual(sectionMark("##[group]Build"), { kind: "group", name: "Build" });
  assert.deepEqual(sectionMark("##[endgroup]"), { kind: "end-group" });
  assert.deepEqual(sectionMark("--- :npm: Test"), {
    kind: "headline",
    name: ":npm: Test",
    sign: "-",
  });
  for (const text of [
    "---",
    "--- FAIL: TestX (0.00s)",
    "--- a ---",
    " ::group::x",
    "----- x",
    "+++",
  ]) {
    assert.equal(sectionMark(text), null, text);
  }
});
