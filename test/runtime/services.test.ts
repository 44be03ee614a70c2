import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { wordsOf } from "../../runtime/services.js";

const cases: readonly (readonly [text: string, words: readonly string[] | null])[] = [
  ["", []],
  ["  ", []],
  ["redis-server", ["redis-server"]],
  [" redis-server  --port\t6380\n", ["redis-server", "--port", "6380"]],
  [`sh -c "echo \\$HOME"`, ["sh", "-c", "echo $HOME"]],
  [`sh -c 'echo \\$HOME'`, ["sh", "-c", "echo \\$HOME"]],
  ['"a\\"b\\\\c\\`d\\n"', ['a"b\\c`d\\n']],
  ["a\\ b \\' \\\\", ["a b", "'", "\\"]],
  [`a'b'"c"d`, ["abcd"]],
  [`'' ""`, ["", ""]],
  ["a # b", ["a", "#", "b"]],
  ["'two\nlines' \"two\nlines\" \\\n", ["two\nlines", "two\nlines", "\n"]],
  // What is white space in one language and not in the other.
  ["a\u00a0b\ufeffc\u2028d\u3000e", ["a", "b", "c", "d", "e"]],
  ["a\u001cb\u0085c", ["a\u001cb\u0085c"]],
  ["ä 😀 \\😀", ["ä", "😀", "😀"]],
  ["'a", null],
  ['a "b', null],
  ["'a\" b", null],
  ["a\\", null],
];

test("a command's text is split into its words", () => {
  for (const [text, words] of cases) assert.deepEqual(wordsOf(text), words, JSON.stringify(text));
});

test("a command's text is split alike in Python", () => {
  const program =
    "import json, sys; from bettertest._services import words_of; print(json.dumps([words_of(text) for text in json.load(sys.stdin)]))";
  const printed = execFileSync("python3", ["-c", program], {
    input: JSON.stringify(cases.map(([text]) => text)),
    env: {
      ...process.env,
      PYTHONPATH: fileURLToPath(new URL("../../../compat-python", import.meta.url)),
      PYTHONDONTWRITEBYTECODE: "1",
      PYTHONIOENCODING: "utf-8",
    },
  });
  const found: unknown = JSON.parse(printed.toString());
  assert.deepEqual(
    found,
    cases.map(([, words]) => words),
  );
});
