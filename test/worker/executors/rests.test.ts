import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Rests, type RestsOptions } from "../../../src/worker/executors/rests.js";

const never = { longestMs: 2 ** 30, quietMs: 1 };

/** Who has gone, in order. */
function restingIn(rests: Rests) {
  const gone: string[] = [];
  return { gone, rest: (name: string) => rests.over().then(() => void gone.push(name)) };
}

test("what has been used rests while a command runs, and goes soon after the last one", async () => {
  const rests = new Rests(never);
  const { gone, rest } = restingIn(rests);
  await rest("when nothing runs");
  const [first, second] = [rests.began(), rests.began()];
  const all = [rest("a"), rest("b")];
  first();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(gone, ["when nothing runs"]);
  second();
  await Promise.all(all);
  assert.deepEqual(gone, ["when nothing runs", "a", "b"]);
  await rest("when nothing runs any more");
});

test("a command that follows the last one at once lets them rest", async () => {
  const rests = new Rests({ ...never, quietMs: 20 });
  const { gone, rest } = restingIn(rests);
  rests.began()();
  const resting = rest("a");
  const end = rests.began();
  await new Promise((resolve) => setTimeout(resolve, 40));
  assert.deepEqual(gone, []);
  end();
  await resting;
});

test("so many rest, and so long; the oldest goes first", async () => {
  const { gone, rest } = restingIn(busy({ ...never, most: 2 }));
  const [a] = ["a", "b", "c"].map(rest);
  await a;
  assert.deepEqual(gone, ["a"]);
  await restingIn(busy({ longestMs: 1 })).rest("short");
});

test("nothing rests once they are closed", async () => {
  const rests = busy(never);
  const before = rests.over();
  rests.close();
  await before;
  await rests.over();
});

function busy(options: RestsOptions): Rests {
  const rests = new Rests(options);
  after(() => rests.close());
  rests.began();
  return rests;
}
