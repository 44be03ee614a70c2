import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { shellWord } from "../../src/model/shell-word.js";
import {
  cutText,
  harmlessLine,
  harmlessText,
  oneLine,
  padText,
  textWidth,
} from "../../src/terminal/text.js";

const esc = "\u001b";

suite("width of text", () => {
  const table: [text: string, width: number][] = [
    ["", 0],
    ["plain", 5],
    ["日本", 4],
    ["e\u0301", 1],
    ["👩‍👩‍👧", 2],
    ["✓ ✗ …", 5],
    [`${esc}[31mred${esc}[39m`, 3],
  ];
  for (const [text, width] of table) {
    test(JSON.stringify(text), () => assert.equal(textWidth(text), width));
  }

  test("no character is counted as plain that counts otherwise where it is looked at", () => {
    for (let code = 0x20; code <= 0xffff; code++) {
      const one = String.fromCharCode(code);
      if (/[\ud800-\udfff]/.test(one)) continue;
      // A null is nothing that is plain, takes no column and joins with nothing: all is looked at.
      assert.equal(textWidth(one), textWidth(`${one}\0`), code.toString(16));
      assert.equal(textWidth(`${one}·${one}`), textWidth(`${one}·${one}\0`), code.toString(16));
    }
  });

  test("a cut never gets wider than asked, and says that something is missing", () => {
    assert.equal(cutText("abcdef", 6), "abcdef");
    assert.equal(cutText("abcdef", 4), "abc…");
    assert.equal(cutText("日本語テスト", 5), "日本…");
    assert.equal(cutText("abc", 0), "");
    for (let width = 0; width < 14; width++)
      assert.ok(textWidth(cutText("a日b本c語d👩‍👩‍👧e", width)) <= width);
  });

  test("padding counts columns, not characters", () => {
    assert.equal(padText("日本", 6), "日本  ");
    assert.equal(padText("too long", 3), "too long");
  });
});

suite("a program's output on a terminal", () => {
  const coloured: [name: string, line: string, shown: string][] = [
    ["plain text", "hello\tworld", "hello\tworld"],
    ["colours stay, and end with the line", `${esc}[1;31mred`, `${esc}[1;31mred${esc}[0m`],
    ["cursor movement goes", `a${esc}[2J${esc}[10;5Hb${esc}[?25lc`, "abc"],
    [
      "titles, links and the clipboard go",
      `${esc}]0;title\u0007a${esc}]8;;http://x${esc}\\b`,
      "ab",
    ],
    ["a sequence that never ends takes the line with it", `a${esc}]0;title`, "a"],
    ["device control strings go", `a${esc}P+q544e${esc}\\b`, "ab"],
    ["one-character C1 forms go", "a\u009b31mb\u009d0;t\u009cc", "abc"],
    ["short sequences go", `a${esc}cb${esc}(Bc`, "abc"],
    ["a bare escape goes", `a${esc}`, "a"],
    ["bells, backspaces and nulls go", "a\u0007\bb\0c", "abc"],
    ["of a progress bar the last state stays", "10%\r50%\r100%", "100%"],
    ["a carriage return before the line's end is no progress", "done\r", "done"],
    ["text direction tricks go", "a\u202eb\u2066c", "abc"],
  ];
  for (const [name, line, shown] of coloured) {
    test(name, () => assert.equal(harmlessLine(line, { colour: true }), shown));
  }

  test("without colours, colours go too", () => {
    assert.equal(harmlessLine(`${esc}[1;31mred${esc}[0m`, { colour: false }), "red");
  });

  test("a name stays in its line", () => {
    assert.equal(oneLine(`a\nb\r\n  c${esc}[2J`), "a b c");
    assert.equal(harmlessText(`a${esc}[2J\r\nb`), "a\nb");
  });
});

test("a word for the shell", () => {
  assert.equal(shellWord("Stage.task_a"), "Stage.task_a");
  assert.equal(shellWord("it's $HOME"), `'it'\\''s $HOME'`);
});
