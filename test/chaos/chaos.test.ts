// The short form; `npm run chaos` is the long one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { noOwnEngine } from "./engine.js";
import { chaos, defaultLeaseMs } from "./main.js";
import { faultKinds } from "./schedule.js";

test("forty seconds of chaos: nothing lost, nothing made up", { skip: noOwnEngine() }, async () => {
  const lines: string[] = [];
  const violations = await chaos({
    minutes: 40 / 60,
    seed: 7,
    leaseMs: defaultLeaseMs,
    kinds: new Set(faultKinds),
    keep: false,
    print: (text) => lines.push(text),
  });
  assert.equal(violations, 0, lines.join("\n"));
});
