import assert from "node:assert/strict";
import { test } from "node:test";
import { onAbort } from "../../src/lib/on-abort.js";

test("calls back all who still wait, once", () => {
  const stop = new AbortController();
  const heard: string[] = [];
  const same = () => heard.push("same");
  onAbort(stop.signal, same);
  const forget = onAbort(stop.signal, same);
  const forgetOther = onAbort(stop.signal, () => heard.push("never"));
  onAbort(stop.signal, () => heard.push("last"));
  forgetOther();
  forget();
  stop.abort();
  assert.deepEqual(heard, ["same", "last"]);
});
