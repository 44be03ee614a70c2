// The words of a .bettertestignore mean what they mean to git in a .gitignore, also those that mean nothing.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { parseIgnore } from "../../src/source/ignore.js";

const sets = [
  "x[z-a]",
  "x[!z-a]",
  "[\\d]",
  "[a-\\]]",
  "[\\\\-\\]]",
  "[]-a]",
  "[!]a]",
  "[^a]",
  "[a-c-e]",
  "[a-c--e]",
  "[--a]",
  "[[-b]",
  "[a-[:digit:]]",
  "x[[:digit:]-z]",
  "[[:digit:]",
  "[[:nothing:]]",
  "[[:]",
  "[ab",
  "[]",
  "a\\",
  ...["alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space"],
  ...["upper", "xdigit"],
].map((words) => (/^[a-z]{5,6}$/.test(words) ? `[[:${words}:]]` : words));

const names = [
  ...Array.from({ length: 255 }, (_, at) => String.fromCharCode(at + 1)),
  ...[..."abz19-!^[]:\\"].map((last) => `x${last}`),
  ...["x", "ab", "[ab", "[]", "a\\", "a]", ":]", "1]", "[:digit:]", "a/b", "b/a/x", "x]"],
].filter((name) => !/^\/|\/$|^\.$/.test(name));

const piece = fc.constantFrom(..."abxz1-!^[]]:\\*?é", "[:digit:]", "[:alpha:]", "[a-", "\\]", "[!");
const pattern = fc.array(piece, { minLength: 1, maxLength: 9 }).map((pieces) => pieces.join(""));

test("a pattern leaves out what it leaves out for git", () => {
  const patterns = [...sets, ...fc.sample(pattern, 200)];
  const folder = mkdtempSync(join(tmpdir(), "bettertest-ignore-"));
  try {
    execFileSync("git", ["init", "-q"], { cwd: folder });
    for (const [at, words] of patterns.entries()) {
      mkdirSync(join(folder, `d${at}`));
      writeFileSync(join(folder, `d${at}/.gitignore`), `${words}\n`, "latin1");
    }
    const paths = patterns.flatMap((_, at) => names.map((name) => `d${at}/${name}`));
    const told = execFileSync("git", ["check-ignore", "--no-index", "-z", "--stdin"], {
      cwd: folder,
      input: Buffer.from(paths.map((path) => `${path}\0`).join(""), "latin1"),
      encoding: "latin1",
      maxBuffer: 2 ** 28,
    });
    const ignoredByGit = new Set(told.split("\0"));
    for (const [at, words] of patterns.entries()) {
      const ignored = parseIgnore(words);
      const isLeftOut = (name: string) => {
        const steps = name.split("/");
        return steps.some((_, end) => {
          const path = steps.slice(0, end + 1).join("/");
          return ignored(path, path !== name);
        });
      };
      const git = names.filter((name) => ignoredByGit.has(`d${at}/${name}`));
      assert.deepEqual(names.filter(isLeftOut), git, JSON.stringify(words));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
