// What a pool makes, when, and for whom; of things that cost nothing.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type KindOf, Pool } from "../../src/worker/pool/pool.js";

interface Thing {
  readonly name: string;
  readonly died: Promise<void>;
  discard(): Promise<void>;
}

const forGood = new AbortController().signal;

function kind(name: string, version = "1"): KindOf<string> {
  return { key: name, version, shape: name };
}

/** Its things are made when a test says so. */
function poolOf({ max, makings = 2 }: { readonly max: number; readonly makings?: number }) {
  const begun: { readonly name: string; end(error?: Error): void }[] = [];
  let most = 0;
  let now = 0;
  let isOver = false;
  const pool = new Pool<string, Thing>({
    max,
    makings,
    idleMs: 600_000,
    make: ({ shape, version }) =>
      new Promise((resolve, reject) => {
        now += 1;
        most = Math.max(most, now);
        const name = `${shape}${version}`;
        const end = (error?: Error) => {
          now -= 1;
          if (error) reject(error);
          else resolve({ name, died: new Promise(() => {}), discard: async () => {} });
        };
        begun.push({ name, end });
        if (isOver) end();
      }),
  });
  return {
    pool,
    begun,
    most: () => most,
    async close() {
      isOver = true;
      for (const { end } of begun) end();
      await pool.close();
    },
    /** Resolves when so many have been begun, and ends the last one of them. */
    async make(count: number, error?: Error) {
      while (begun.length < count) await new Promise((resolve) => setTimeout(resolve, 1));
      begun[count - 1]!.end(error);
    },
  };
}

test("so many are made at a time, in the order in which they were asked for", async () => {
  const { pool, begun, make, most, close } = poolOf({ max: 0 });
  const got: string[] = [];
  const taken = ["a", "b", "a", "c"].map((name) =>
    pool.take(kind(name), forGood).then((thing) => void got.push(thing.name)),
  );
  assert.deepEqual(
    begun.map(({ name }) => name),
    ["a1", "b1"],
  );
  for (const n of [1, 2, 3, 4]) await make(n);
  await Promise.all(taken);
  assert.deepEqual(got, ["a1", "b1", "a1", "c1"]);
  assert.equal(most(), 2);
  await close();
});

test("one that cannot be made fails for one who waits; the next one is begun", async () => {
  const { pool, make, close } = poolOf({ max: 0, makings: 1 });
  const [first, second] = [pool.take(kind("a"), forGood), pool.take(kind("a"), forGood)];
  await make(1, new Error("no room"));
  await assert.rejects(first, /no room/);
  await make(2);
  assert.equal((await second).name, "a1");
  await close();
});

test("who leaves the line has nothing made for them; whose version is old gets that one", async () => {
  const { pool, begun, make, close } = poolOf({ max: 0, makings: 1 });
  const stop = new AbortController();
  const first = pool.take(kind("a"), forGood);
  const leaves = pool.take(kind("a"), stop.signal);
  const old = pool.take(kind("b", "1"), forGood);
  const anew = pool.take(kind("b", "2"), forGood);
  stop.abort(new Error("left"));
  await assert.rejects(leaves, /left/);
  for (const n of [1, 2, 3]) await make(n);
  assert.deepEqual(
    (await Promise.all([first, old, anew])).map(({ name }) => name),
    ["a1", "b1", "b2"],
  );
  assert.equal(begun.length, 3);
  await close();
});

/** Shorter than the making of a thing, as the pool has seen of a first one. */
async function shortCommand(pool: Pool<string, Thing>, make: (count: number) => Promise<void>) {
  const first = pool.take(kind("a"), forGood);
  await new Promise((resolve) => setTimeout(resolve, 5));
  await make(1);
  await first;
  pool.began()(0);
}

test("while as many are ready as short commands are to come, none is made beside them", async () => {
  const { pool, begun, make, close } = poolOf({ max: 4 });
  await shortCommand(pool, make);
  pool.expect(kind("a"), 3);
  for (const n of [2, 3, 4]) await make(n);
  while (pool.ready < 3) await new Promise((resolve) => setTimeout(resolve, 1));
  pool.expect(kind("a"), 3);
  const ended = pool.began();
  for (const left of [2, 1, 0]) {
    await pool.take(kind("a"), forGood);
    assert.equal(pool.ready, left);
  }
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.equal(begun.length, 4);
  // When nothing runs any more, what was asked for of late is made for the next ones.
  ended(0);
  await make(5);
  await close();
});

test("where more short commands are to come than are ready, they are made at once", async () => {
  const { pool, make, close } = poolOf({ max: 4 });
  await shortCommand(pool, make);
  const ended = pool.began();
  pool.expect(kind("a"), 3);
  for (const n of [2, 3, 4]) await make(n);
  ended(0);
  await close();
});
