import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

// One character beyond Latin-1, and the engine keeps two bytes for each of two million.
for (const bundle of ["src/cli/command-line.cjs", "src/library.js"]) {
  test(`the text of ${bundle} takes a byte a character`, () => {
    const text = readFileSync(new URL(`../../${bundle}`, import.meta.url), "utf8");
    // What the build does not escape by itself: characters in comments and regular expressions.
    assert.deepEqual(text.match(/.*[^\0-\xff].*/g), null);
  });
}
