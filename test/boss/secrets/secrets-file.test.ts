import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  parseSecrets,
  readSecretsFile,
  SecretsFileError,
} from "../../../src/boss/secrets/secrets-file.js";

function valuesOf(text: string): Record<string, string> {
  const parsed = parseSecrets(text);
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return Object.fromEntries(parsed.values);
}

function refusalOf(text: string): string {
  const parsed = parseSecrets(text);
  assert.ok(!parsed.ok, "was taken");
  return `${parsed.line}: ${parsed.error}`;
}

test("values stand bare, or in quotes, over several lines too", () => {
  const text = [
    "# a comment",
    "",
    "BARE = a$b \\n'c\"d#e   ",
    "export EXPORTED=abcdef",
    `SINGLE='a "b" $c \\n # d' # a comment`,
    'DOUBLE="a \'b\' $c\\n\\"\\\\\\t\\d # e"',
    'LINES="first',
    "",
    'third"',
  ].join("\r\n");
  assert.deepEqual(valuesOf(`\ufeff${text}`), {
    BARE: "a$b \\n'c\"d#e",
    EXPORTED: "abcdef",
    SINGLE: 'a "b" $c \\n # d',
    DOUBLE: "a 'b' $c\n\"\\\t\\d # e",
    LINES: "first\n\nthird",
  });
});

test("what could be meant in two ways is refused by its line, and without its text", () => {
  assert.equal(refusalOf("A=secret1\nsecret2\n"), "2: is no NAME=VALUE");
  assert.match(refusalOf("A=secret # comment?"), /^1: A: is " #" part of the value/);
  assert.match(refusalOf('A="secret1\nB=secret2\n'), /^1: A: the closing " is missing/);
  assert.match(refusalOf("A='secret' rest"), /^1: A: there is more behind the closing '/);
  assert.match(refusalOf("1A=secret"), /^1: the name must be made of letters/);
  assert.match(refusalOf("A=secret1\n\nA=secret2"), /^3: A is there twice/);
  assert.match(refusalOf("A=12345"), /^1: A is shorter than 6 bytes/);
  assert.match(refusalOf("A='     1    '"), /^1: A is shorter than 6 bytes/);
  assert.match(refusalOf("A=123\0 456"), /^1: A holds a zero byte/);
});

test("a file that others can read is refused, and so is what is no text", () => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-secrets-"));
  try {
    const path = join(folder, "secrets.env");
    const refusal = () => {
      try {
        readSecretsFile(path);
      } catch (error) {
        assert.ok(error instanceof SecretsFileError, String(error));
        return error.message;
      }
      return "taken";
    };
    assert.match(refusal(), /cannot be read \(ENOENT\)/);
    writeFileSync(path, "A=secret", { mode: 0o600 });
    assert.equal(refusal(), "taken");
    for (const mode of [0o640, 0o604, 0o620, 0o610]) {
      chmodSync(path, mode);
      assert.match(refusal(), /by others .* Try: chmod 600 /);
    }
    chmodSync(path, 0o600);
    writeFileSync(path, Buffer.from([0x41, 0x3d, 0xff, 0xfe]));
    assert.match(refusal(), /is no text in UTF-8/);
    writeFileSync(path, `A=${"x".repeat(70_000)}`);
    assert.match(refusal(), /is larger than 65536 bytes/);
    rmSync(path);
    assert.match(refusal(), /cannot be read/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
