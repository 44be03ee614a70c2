import assert from "node:assert/strict";
import { test } from "node:test";
import type { LoggedEvent, RunEvent } from "../../src/model/events.js";
import { applyEvent, newRun, type Run } from "../../src/model/run.js";
import type { RunSummary } from "../../src/wire/boss.js";
import { parseRoute } from "../../ui/route.js";
import {
  initialState,
  listedRuns,
  maxRuns,
  type State,
  shownTask,
  wantedRuns,
  wantsClock,
} from "../../ui/state.js";
import { type Message, update } from "../../ui/update.js";
import { at } from "./address.js";

const task = { stage: "Unit", task: "one" };
const attempt = { ...task, attempt: 1 };

/** A run of two tasks, one of them red, as the boss tells it. */
const story: RunEvent[] = [
  {
    type: "run-created",
    at: 1,
    pipelineName: "demo",
    pipedef: "/repo/pipedef.ts",
    keepGoing: false,
    trigger: "api",
  },
  {
    type: "run-loaded",
    at: 2,
    pipeline: {
      stages: [{ name: "Unit", tasks: [{ name: "one" }, { name: "two" }], always: false }],
      warnings: [],
    },
  },
  { type: "stage-started", at: 3, stage: "Unit" },
  { type: "attempt-started", at: 4, ...attempt },
  { type: "attempt-started", at: 5, ...attempt, task: "two" },
  {
    type: "attempt-finished",
    at: 6,
    ...attempt,
    task: "two",
    end: { status: "failed", failure: { kind: "exit", command: "false", exitCode: 1 } },
  },
  { type: "attempt-finished", at: 7, ...attempt, end: { status: "passed" } },
  { type: "stage-finished", at: 8, stage: "Unit" },
  { type: "run-finished", at: 9, verdict: "failed" },
];

const logged = (run: number, firstSeq = 1): LoggedEvent[] =>
  story.map((event, index) => ({ seq: firstSeq + index, run, event }));

const messages = (events: readonly LoggedEvent[]): Message[] =>
  events.map((event) => ({ type: "run-events", events: [event] }));

const folded = (count: number, id = 1): Run =>
  story.slice(0, count).reduce(applyEvent, newRun(id, story[0] as never));

const summary = (id: number, finishedAt: number | null): RunSummary => ({
  id,
  pipeline: "demo",
  status: finishedAt === null ? "running" : "passed",
  trigger: "api",
  createdAt: 1,
  startedAt: 1,
  finishedAt,
  tasks: {},
  fault: null,
});

const connected: Message = {
  type: "connected",
  hello: { instance: "one", version: "0", seq: 0, now: 1 },
  resumed: false,
  at: 1,
};

const after = (state: State, ...list: Message[]) => list.reduce(update, state);

/** Connected, with this list of runs. */
function open(path = "/", runs: RunSummary[] = []): State {
  const state = initialState(parseRoute(at(path)), 0);
  return after(state, connected, { type: "runs-loaded", runs });
}

test("a run that starts while the page is open is followed from its first event", () => {
  const state = after(open("/runs/1"), ...messages(logged(1)));
  assert.deepEqual(state.runs.get(1)?.run, folded(story.length));
  assert.deepEqual(listedRuns(state)[0]?.tasks, { passed: 1, failed: 1 });
  assert.deepEqual(wantedRuns(state), []);
});

test("whatever the order of snapshot and events, each event counts once", () => {
  const events = logged(1);
  for (let inSnapshot = 1; inSnapshot <= story.length; inSnapshot += 1) {
    // Some events come before the snapshot although they are in it, or although they are not.
    for (let first = 1; first <= inSnapshot; first += 1) {
      for (let early = first; early <= story.length; early += 1) {
        const state = after(
          open("/runs/1", [summary(1, null)]),
          ...messages(events.slice(first, early)),
          { type: "run-loaded", snapshot: { seq: inSnapshot, run: folded(inSnapshot) } },
          ...messages(events.slice(early)),
        );
        const label = `${first} to ${early}, snapshot of ${inSnapshot}`;
        assert.deepEqual(state.runs.get(1)?.run, folded(story.length), label);
      }
    }
  }
});

test("events that overtake the list of runs are kept until it is there", () => {
  const state = after(initialState(parseRoute(at("/")), 0), connected, ...messages(logged(1)), {
    type: "runs-loaded",
    runs: [],
  });
  assert.equal(listedRuns(state)[0]?.status, "failed");
});

test("unfinished runs and the shown one are asked for whole; one that is missing only once", () => {
  const state = open("/runs/7", [summary(3, null), summary(2, 5)]);
  assert.deepEqual(wantedRuns(state).sort(), [3, 7]);
  const missing = after(state, { type: "run-missing", run: 7, reason: "there is no run 7" });
  assert.deepEqual(wantedRuns(missing), [3]);
});

test("a stream that goes on where it broke off keeps what the page knows", () => {
  const old = after(open("/runs/1"), ...messages(logged(1).slice(0, 4)));
  assert.equal(old.lastSeq, 4);
  const lost = after(old, { type: "disconnected", at: 7 });
  assert.equal(lost.lostAt, 7);
  const resumed = after(lost, { ...connected, resumed: true });
  assert.equal(resumed.generation, old.generation, "nothing is asked for again");
  assert.equal(resumed.lostAt, null);
  const whole = after(resumed, { type: "run-events", events: logged(1).slice(4) });
  assert.deepEqual(whole.runs.get(1)?.run, folded(story.length));
});

test("events that come in one batch give the same as one by one", () => {
  const events = [...logged(1), ...logged(2, 20), ...logged(3, 40)];
  const single = after(open("/runs/1"), ...messages(events));
  const batch = after(open("/runs/1"), { type: "run-events", events });
  assert.deepEqual(listedRuns(batch), listedRuns(single));
  assert.deepEqual(batch.runs.get(1), single.runs.get(1));
});

test("a new connection believes nothing of the old one", () => {
  const old = after(open("/runs/1"), ...messages(logged(1)));
  const lost = after(old, { type: "disconnected", at: 5 });
  assert.deepEqual(lost.runs, old.runs, "what is there stays while the connection is away");

  const restarted = after(lost, connected, { type: "runs-loaded", runs: [] });
  assert.deepEqual(listedRuns(restarted), []);
  // The same numbers, another run.
  const again = after(
    restarted,
    { type: "run-loaded", snapshot: { seq: 2, run: folded(2) } },
    ...messages(logged(1).slice(2)),
  );
  assert.deepEqual(again.runs.get(1)?.run, folded(story.length));
});

test("without a choice the task that turned red first is shown", () => {
  const red = after(open("/runs/1"), ...messages(logged(1)));
  assert.equal(shownTask(red)?.ref.task, "two");
  const chosen = after(red, { type: "route-changed", route: parseRoute(at("/runs/1/Unit/one")) });
  assert.equal(shownTask(chosen)?.ref.task, "one");
});

test("the clock ticks only while something runs", () => {
  const running = after(open(), ...messages(logged(1).slice(0, 5)));
  assert.equal(wantsClock(running), true);
  assert.equal(wantsClock(after(running, ...messages(logged(1).slice(5)))), false);
});

test("many runs: the newest stay, details only of those that go on or are shown", () => {
  let state = open("/runs/1");
  for (let id = 1; id <= 2 * maxRuns; id += 1) {
    state = after(state, ...messages(logged(id, 100 * id)));
  }
  assert.equal(listedRuns(state).length, maxRuns);
  assert.ok(state.runs.size <= maxRuns + 1);
  assert.notEqual(state.runs.get(1)?.run, null, "the shown one stays whole");
  assert.ok([...state.runs.values()].filter(({ run }) => run !== null).length <= 2);
});
