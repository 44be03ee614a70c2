import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setImmediate as settled } from "node:timers/promises";
import { createPursuit, type Want } from "../../ui/pursuit.js";
import { Refusal } from "../../ui/refusal.js";
import type { Message } from "../../ui/update.js";

/** A want that is asked for as often as there are answers; each is a message, or why there is none. */
function wantOf(answers: (Message | Error)[], version = "1"): Want {
  return {
    key: "run 5",
    version,
    async ask() {
      const answer = answers.shift();
      assert.ok(answer, "asked for once more");
      if (answer instanceof Error) throw answer;
      return answer;
    },
    failed: (reason, isFinal) => ({
      type: isFinal ? "run-missing" : "run-delayed",
      run: 5,
      reason,
    }),
  };
}

const come: Message = { type: "runs-loaded", runs: [] };
const delayed = (reason: string): Message => ({ type: "run-delayed", run: 5, reason });

/** What is told; it is wanted until it has come or is gone. */
function startPursuit(t: TestContext) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const told: Message[] = [];
  const pursue = createPursuit((message) => {
    told.push(message);
    if (message.type !== "run-delayed") pursue([]);
  });
  const passes = async (ms: number) => {
    t.mock.timers.tick(ms);
    await settled();
  };
  return { told, pursue, passes };
}

test("what failed is asked for again, after ever longer pauses", async (t) => {
  const { told, pursue, passes } = startPursuit(t);
  const answers = [new TypeError("fetch failed"), new Refusal(502, "bad gateway"), come];
  const want = wantOf(answers);
  pursue([want]);
  await settled();
  assert.deepEqual(told, [delayed("the boss does not answer")]);
  pursue([wantOf([])]);
  await passes(1000);
  assert.deepEqual(told[1], delayed("bad gateway"));
  await passes(1999);
  assert.equal(told.length, 2);
  await passes(1);
  assert.deepEqual(told[2], come);
  await passes(1e6);
  assert.equal(told.length, 3);
});

test("what is gone is not asked for again", async (t) => {
  const { told, pursue, passes } = startPursuit(t);
  pursue([wantOf([new Refusal(404, "there is no run 5")])]);
  await passes(1e6);
  assert.deepEqual(told, [{ type: "run-missing", run: 5, reason: "there is no run 5" }]);
});

test("the connection is back: it is asked for at once, and only once", async (t) => {
  const { told, pursue, passes } = startPursuit(t);
  pursue([wantOf([new TypeError("fetch failed")])]);
  await settled();
  pursue([]);
  pursue([wantOf([come])]);
  await settled();
  assert.deepEqual(told, [delayed("the boss does not answer"), come]);
  await passes(1e6);
  assert.equal(told.length, 2);
});

test("an answer that was overtaken by another version is of no use", async (t) => {
  const { told, pursue } = startPursuit(t);
  pursue([wantOf([delayed("old")], "1")]);
  pursue([wantOf([come], "2")]);
  await settled();
  assert.deepEqual(told, [come]);
});
