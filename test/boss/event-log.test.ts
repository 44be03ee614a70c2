import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import Database from "libsql";
import { EventLog } from "../../src/boss/event-log.js";
import { createMemoryStore } from "../../src/boss/store/memory.js";
import { openSqliteStore } from "../../src/boss/store/sqlite.js";
import type { RunEvent } from "../../src/model/events.js";
import { runCreated } from "../contracts/store.js";

const created = runCreated();
const finished: RunEvent = { type: "run-finished", at: 2, verdict: "passed" };

function newLog() {
  const store = createMemoryStore();
  return { store, log: new EventLog(store) };
}

test("a reader gets what was there and what comes, once and in order", async () => {
  const { store, log } = newLog();
  const id = store.nextRunId();
  log.append(id, created);
  const seen: number[] = [];
  const reading = (async () => {
    for await (const { seq } of log.follow({
      run: id,
      after: 0,
      signal: new AbortController().signal,
    })) {
      seen.push(seq);
    }
  })();
  for (let n = 0; n < 1200; n++) {
    log.append(id, { type: "cancel-requested", at: n, by: "test" });
    if (n % 100 === 0) await new Promise(setImmediate);
  }
  log.append(id, finished);
  await reading;
  assert.deepEqual(
    seen,
    Array.from({ length: 1202 }, (_, index) => index + 1),
  );
});

test("following a run that has ended ends", async () => {
  const { store, log } = newLog();
  const id = store.nextRunId();
  log.append(id, created);
  log.append(id, finished);
  const types: string[] = [];
  for await (const { event } of log.follow({
    run: id,
    after: 2,
    signal: new AbortController().signal,
  })) {
    types.push(event.type);
  }
  assert.deepEqual(types, []);
});

test("an aborted reader ends although nothing happens", async () => {
  const { log } = newLog();
  const stop = new AbortController();
  const reader = log.follow({ after: 0, signal: stop.signal });
  const next = reader.next();
  stop.abort();
  assert.equal((await next).done, true);
});

test("a reader that does not read costs the writer nothing and misses nothing", async () => {
  const { store, log } = newLog();
  const id = store.nextRunId();
  log.append(id, created);
  const slow = log.follow({ run: id, after: 0, signal: new AbortController().signal });
  assert.equal((await slow.next()).value?.seq, 1);
  for (let n = 0; n < 5000; n++) log.append(id, { type: "cancel-requested", at: n, by: "test" });
  log.append(id, finished);
  let last = 1;
  for await (const { seq } of slow) {
    assert.equal(seq, last + 1);
    last = seq;
  }
  assert.equal(last, 5002);
});

test("who keeps up asks the store for nothing, and gets at once what happens at once", async () => {
  const store = createMemoryStore();
  let asked = 0;
  const events: typeof store.events = (query) => {
    asked += 1;
    return store.events(query);
  };
  const log = new EventLog({ ...store, events });
  const [one, other] = [store.nextRunId(), store.nextRunId()];
  log.append(one, created);
  log.append(other, created);
  const batches: number[][] = [];
  const reading = (async () => {
    const { signal } = new AbortController();
    for await (const batch of log.followBatches({ run: one, after: 0, signal })) {
      batches.push(batch.map(({ seq }) => seq));
    }
  })();
  await new Promise(setImmediate);
  // More of another run than is kept for those who keep up.
  for (let n = 0; n < 3000; n++) log.append(other, { type: "cancel-requested", at: n, by: "test" });
  log.append(one, { type: "cancel-requested", at: 1, by: "test" });
  log.append(one, finished);
  log.append(one, { type: "pin-changed", at: 3, pinned: true, by: "test" });
  await reading;
  assert.deepEqual(batches, [[1], [3003, 3004]]);
  assert.ok(asked <= 1, `asked ${asked} times`);
});

test("what was imported in one piece is not missing among the last events", async () => {
  const { store, log } = newLog();
  const [live, imported] = [store.nextRunId(), store.nextRunId()];
  log.append(live, created);
  log.add(imported, [created, finished]);
  log.append(live, finished);
  const stop = new AbortController();
  const seen: number[] = [];
  for await (const { seq } of log.follow({ after: 0, signal: stop.signal })) {
    seen.push(seq);
    if (seq === 4) stop.abort();
  }
  assert.deepEqual(seen, [1, 2, 3, 4]);
});

test("nobody is told of an event that could not be stored, until it is", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-log-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "history.db");
  const store = openSqliteStore(path);
  t.after(() => store.close());
  const log = new EventLog(store);
  const id = store.nextRunId();
  const other = store.nextRunId();
  for (const run of [id, other]) log.append(run, created);
  const seen: string[] = [];
  const read = async (run?: number) => {
    const signal = new AbortController().signal;
    for await (const logged of log.follow({ ...(run && { run }), after: 0, signal })) {
      seen.push(`${run ?? "all"}: ${logged.run} ${logged.event.type}`);
      if (logged.event.type === "run-finished") return;
    }
  };
  const readers = [read(id), read(other), read()];
  const turns = async () => {
    for (let n = 0; n < 10; n++) await new Promise(setImmediate);
  };
  await turns();
  const before = [...seen];
  assert.equal(before.length, 4);

  const holder = new Database(path);
  holder.exec("BEGIN IMMEDIATE");
  log.append(id, { type: "cancel-requested", at: 3, by: "test" });
  log.append(id, finished);
  assert.match(String(store.unwritable()), /cannot be written/);
  await turns();
  assert.deepEqual(seen, before);
  assert.equal(store.run(id)?.status, "passed", "the run itself goes on");

  holder.exec("ROLLBACK");
  holder.close();
  log.retry();
  await Promise.all([readers[0], readers[2]]);
  const told = ["cancel-requested", "run-finished"];
  assert.deepEqual(
    seen.slice(before.length).sort(),
    told.flatMap((type) => [`${id}: ${id} ${type}`, `all: ${id} ${type}`]).sort(),
  );
  log.append(other, finished);
  await readers[1];
});
