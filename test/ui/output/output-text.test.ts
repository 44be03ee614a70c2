import assert from "node:assert/strict";
import { test } from "node:test";
import {
  appendOutput,
  emptyOutput,
  isEmpty,
  maxShownChars,
  type OutputText,
  shownLine,
} from "../../../ui/output/output-text.js";

function shown(output: OutputText): string {
  return output.blocks.map((block) => block.text).join("") + shownLine(output);
}

const show = (...chunks: string[]) => shown(chunks.reduce(appendOutput, emptyOutput));

test("plain text stays as it is, however it is cut", () => {
  const text = "one\n  two\n\nthree without an end";
  assert.equal(show(text), text);
  assert.equal(show(...text), text);
  assert.equal(isEmpty(emptyOutput), true);
  assert.equal(isEmpty(appendOutput(emptyOutput, "x")), false);
});

const escapes: [string, string, string][] = [
  ["colors", "\x1b[1;31mred\x1b[0m", "red"],
  ["a title (OSC, BEL)", "a\x1b]0;title\x07b", "ab"],
  ["a link (OSC 8, ST)", "\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\", "text"],
  ["a device control string", "a\x1bPq#0;2\x1b\\b", "ab"],
  ["a character set", "a\x1b(Bb", "ab"],
  ["cursor movement", "a\x1b[2K\x1b[1Gb\x1bMc", "abc"],
  ["bells and other controls", "a\x07\x00\x08b\x7f\x9b", "ab"],
];
for (const [name, raw, text] of escapes) {
  test(`takes out ${name}, also cut at every place`, () => {
    assert.equal(show(raw), text);
    for (let cut = 1; cut < raw.length; cut += 1) {
      assert.equal(show(raw.slice(0, cut), raw.slice(cut)), text, `cut at ${cut}`);
    }
    assert.equal(show(...raw), text);
  });
}

test("a sequence that never ends does not swallow the output for ever", () => {
  const text = "x".repeat(10_000);
  assert.equal(show(`\x1b]0;${text}\n`, "after"), `]0;${text}\nafter`);
});

test("a progress bar shows its last state, while it runs and when it is over", () => {
  assert.equal(show("10%\r20%\r"), "20%");
  assert.equal(show("10%\r", "20%\r", "30%"), "30%");
  assert.equal(show("10%\r100%\r\ndone\n"), "100%\ndone\n");
  assert.equal(show("line\r\nnext\r", "\n"), "line\nnext\n");
});

test("keeps the end of an endless output, in pieces of which only the last one changes", () => {
  let output = emptyOutput;
  for (let n = 0; n < 400; n += 1) output = appendOutput(output, `${"y".repeat(9999)}\n`);
  assert.equal(output.dropped, true);
  const text = shown(output);
  assert.ok(text.length <= maxShownChars && text.length > maxShownChars / 2, `${text.length}`);

  const more = appendOutput(output, "the end\n");
  const kept = more.blocks.filter((block) => output.blocks.includes(block));
  assert.ok(kept.length >= output.blocks.length - 2);
  assert.ok(shown(more).endsWith("the end\n"));
  assert.equal(new Set(more.blocks.map(({ id }) => id)).size, more.blocks.length);
});

test("one line of 50 MB is cut into pieces, not kept whole", () => {
  let output = emptyOutput;
  const chunk = "z".repeat(1_000_000);
  for (let n = 0; n < 50; n += 1) output = appendOutput(output, chunk);
  assert.ok(shown(output).length <= maxShownChars + 100_000);
});
