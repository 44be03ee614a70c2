import assert from "node:assert/strict";
import { test } from "node:test";
import { EventLog } from "../../src/boss/event-log.js";
import { createMemoryStore } from "../../src/boss/store/memory.js";
import type { RunEvent } from "../../src/model/events.js";

const created: RunEvent = {
  type: "run-created",
  at: 1,
  pipelineName: "shop",
  pipedef: "/p.ts",
  keepGoing: false,
  trigger: "test",
};
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
