// Parsers of what people write: durations, sizes, secrets files, the arguments of `run`.

import assert from "node:assert/strict";
import fc from "fast-check";
import { commandRequest } from "../../runtime/run-options.js";
import { parseSecrets } from "../../src/boss/secrets/secrets-file.js";
import { parseBytes, parseDurationMs } from "../../src/lib/units.js";
import { AskedCommand } from "../../src/wire/worker.js";
import { fuzz, textOf } from "./fuzz.js";

const amount = textOf(
  ["1", "90", "0", ".", "5", "-", "+", "e3", " ", "ms", "s", "m", "h", "k", "g", "GiB", "b"],
  5,
);

fuzz(
  "a duration or a size is a number above 0, or none",
  fc.oneof(amount, fc.double()),
  (given) => {
    const ms = parseDurationMs(given);
    assert.ok(ms === null || (Number.isFinite(ms) && ms > 0), String(ms));
    const bytes = parseBytes(given);
    assert.ok(bytes === null || (Number.isInteger(bytes) && bytes > 0), String(bytes));
  },
);

const factors = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

fuzz(
  "what is written right is read right",
  fc.record({
    count: fc.integer({ min: 1, max: 9999 }),
    unit: fc.constantFrom("ms", "s", "m", "h"),
    size: fc.constantFrom("", "k", "M", "g", "KiB", "mb"),
  }),
  ({ count, unit, size }) => {
    assert.equal(parseDurationMs(`${count}${unit}`), count * factors[unit]);
    const power = ["", "k", "m", "g"].indexOf(size.slice(0, 1).toLowerCase());
    assert.equal(parseBytes(`${count}${size}`), count * 1024 ** power);
  },
);

const secretsText = textOf(
  [
    "NAME",
    "B_2",
    "=",
    "'",
    '"',
    "#",
    " #",
    "\n",
    "\r\n",
    "\\",
    "\\n",
    " ",
    "export ",
    "value-1",
    "$",
    "\ufeff",
    "\0",
  ],
  16,
);

fuzz("a secrets file is read or refused, and the refusal quotes no value", secretsText, (text) => {
  const parsed = parseSecrets(text);
  if (parsed.ok) {
    for (const [name, value] of parsed.values) {
      assert.match(name, /^[A-Za-z_]\w*$/);
      assert.ok(Buffer.byteLength(value.trim()) >= 6);
    }
  } else {
    assert.ok(parsed.line >= 1 && parsed.line <= text.split("\n").length);
    assert.ok(!parsed.error.includes("value-1") || /value-1[^'"\n]*=/.test(text), parsed.error);
  }
});

const value = fc
  .string({ unit: fc.constantFrom(..."ab'\"\\ \t\n$#=é🙂"), minLength: 6, maxLength: 20 })
  .filter((text) => Buffer.byteLength(text.trim()) >= 6);

fuzz("what is quoted right comes out as it was", fc.array(value, { maxLength: 3 }), (values) => {
  const escaped = (text: string) => text.replace(/["\\]/g, "\\$&").replaceAll("\t", "\\t");
  const text = values.map((text, at) => `S${at}="${escaped(text)}" # and more\n`).join("\n");
  const parsed = parseSecrets(text);
  assert.ok(parsed.ok, JSON.stringify(parsed));
  assert.deepEqual([...parsed.values.values()], values);
});

const anything = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    undefined,
    true,
    "",
    "x",
    "5m",
    "/w",
    0,
    1,
    -1,
    Number.NaN,
    "\0",
    "\ud800",
  ),
  fc.constantFrom<unknown>([], ["A"], [1], {}, { A: "b" }, { "": "b" }, { A: 1 }, { "A=": "b" }),
);
const names = [
  "env",
  "secrets",
  "workdir",
  "user",
  "timeout",
  "cpus",
  "memory",
  "network",
  "check",
  "x",
];
const options = fc.dictionary(fc.constantFrom(...names), anything, { maxKeys: 4 });

fuzz(
  "what run() takes, a worker takes; all else is a TypeError in words",
  fc.array(fc.oneof(fc.constantFrom("image", "true", "http://w:1", ""), anything, options), {
    maxLength: 5,
  }),
  (given) => {
    try {
      const { request } = commandRequest(given);
      const parsed = AskedCommand.safeParse(JSON.parse(JSON.stringify(request)));
      assert.ok(parsed.success, parsed.error?.message);
    } catch (error) {
      assert.ok(error instanceof TypeError, String(error));
      assert.match(error.message, /^run: /);
    }
  },
);
