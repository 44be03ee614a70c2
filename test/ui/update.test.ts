import assert from "node:assert/strict";
import { test } from "node:test";
import type { LoggedEvent, RunEvent } from "../../src/model/events.js";
import { applyEvent, newRun, type Run } from "../../src/model/run.js";
import type { RunSummary } from "../../src/wire/boss.js";
import { parseRoute } from "../../ui/route.js";
import {
  clockPaceMs,
  comparedRun,
  initialState,
  lacksTrend,
  listedRuns,
  maxRuns,
  runsOf,
  type State,
  shownRun,
  shownTask,
  wantedRuns,
} from "../../ui/state.js";
import { type Message, update } from "../../ui/update.js";
import { historyUrl, trendRuns, trendUrl } from "../../ui/urls.js";
import { wishesOf } from "../../ui/wishes.js";
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

const logged = (run: number, firstSeq = 1, pipelineName = "demo"): LoggedEvent[] =>
  story.map((event, index) => ({
    seq: firstSeq + index,
    run,
    event: event.type === "run-created" ? { ...event, pipelineName } : event,
  }));

const messages = (events: readonly LoggedEvent[]): Message[] =>
  events.map((event) => ({ type: "run-events", events: [event] }));

const folded = (count: number, id = 1): Run =>
  story.slice(0, count).reduce(applyEvent, newRun(id, story[0] as never));

const summary = (id: number, finishedAt: number | null, pipeline = "demo"): RunSummary => ({
  id,
  pipeline,
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

test("a run that could not be fetched stays wanted, and what it then is holds what came before", () => {
  const delayed = after(open("/", [summary(1, null)]), ...messages(logged(1).slice(3, 5)), {
    type: "run-delayed",
    run: 1,
    reason: "the boss answered 502",
  });
  assert.deepEqual(wantedRuns(delayed), [1]);
  assert.deepEqual(delayed.runs.get(1)?.pending, [], "what waits for it does not pile up");
  const come = after(
    delayed,
    { type: "run-loaded", snapshot: { seq: 5, run: folded(5) } },
    ...messages(logged(1).slice(5)),
  );
  assert.deepEqual(come.runs.get(1)?.run, folded(story.length));
  assert.equal(come.runs.get(1)?.problem, null);
});

test("nothing piles up for a run that is gone; it is followed where it begins after all", () => {
  const gone = after(open("/runs/1"), { type: "run-missing", run: 1, reason: "no run 1" });
  const late = after(gone, ...messages(logged(1).slice(3)));
  assert.deepEqual(late.runs.get(1)?.pending, []);
  const begun = after(gone, ...messages(logged(1)));
  assert.equal(begun.runs.get(1)?.missing, null);
  assert.deepEqual(begun.runs.get(1)?.run, folded(story.length));
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

test("what is shown stays until the boss has told it anew, and is said to be as it was", () => {
  const told = { ...summary(1, null), createdAt: 1 };
  const old = after(open("/runs/1"), ...messages(logged(1).slice(0, 5)));
  const lost = after(old, { type: "disconnected", at: 20 }, { type: "clock-ticked", now: 25 });
  const hello = { instance: "two", version: "0", seq: 0, now: 30 };
  const connected = after(lost, { type: "connected", hello, resumed: false, at: 30 });
  const listed = after(connected, { type: "runs-loaded", runs: [told] });
  for (const state of [lost, connected, listed]) {
    assert.deepEqual(shownRun(state), folded(5));
    assert.deepEqual([state.lostAt, state.now], [20, 20]);
  }
  assert.deepEqual(wantedRuns(listed), [1]);
  // An event of the new boss must not be put onto the old state.
  const early = after(listed, ...messages(logged(1).slice(6, 7)));
  assert.deepEqual(shownRun(early), folded(5));
  const fresh = after(early, { type: "run-loaded", snapshot: { seq: 7, run: folded(7) } });
  assert.deepEqual(shownRun(fresh), folded(7));
  assert.deepEqual([fresh.lostAt, fresh.now], [null, 30]);

  const home = after(listed, { type: "route-changed", route: parseRoute(at("/")) });
  assert.equal(home.lostAt, null, "there all is told");
  const back = after(home, { type: "route-changed", route: parseRoute(at("/runs/1")) });
  assert.equal(shownRun(back), null);
});

test("a run that is gone, or another one under its number, is not shown as it was", () => {
  const old = after(open("/runs/1"), ...messages(logged(1)));
  const anew = after(old, { type: "disconnected", at: 20 }, connected);
  const other = after(anew, { type: "runs-loaded", runs: [{ ...summary(1, null), createdAt: 9 }] });
  assert.equal(shownRun(other), null);
  const gone = after(
    anew,
    { type: "runs-loaded", runs: [] },
    { type: "run-missing", run: 1, reason: "there is no run 1" },
  );
  assert.equal(shownRun(gone), null);
  assert.equal(gone.lostAt, null);
});

test("a connection that breaks again before all is told still shows what was", () => {
  const old = after(open("/runs/1"), ...messages(logged(1)));
  const again = after(
    old,
    { type: "disconnected", at: 20 },
    connected,
    { type: "runs-loaded", runs: [] },
    { type: "disconnected", at: 40 },
    { ...connected, resumed: true },
  );
  assert.equal(again.lostAt, 20);
  assert.deepEqual(shownRun(again), folded(story.length));
});

test("without a choice the task that turned red first is shown", () => {
  const red = after(open("/runs/1"), ...messages(logged(1)));
  assert.equal(shownTask(red)?.ref.task, "two");
  const chosen = after(red, { type: "route-changed", route: parseRoute(at("/runs/1/Unit/one")) });
  assert.equal(shownTask(chosen)?.ref.task, "one");
});

test("the clock is looked at often while something runs or is lost, else now and then", () => {
  const running = after(open(), ...messages(logged(1).slice(0, 5)));
  assert.equal(clockPaceMs(running), 500);
  const idle = after(running, ...messages(logged(1).slice(5)));
  assert.equal(clockPaceMs(idle), 60_000);
  assert.equal(clockPaceMs(after(idle, { type: "disconnected", at: 5 })), 500);
});

test("while the connection is lost the clock stands still, and it counts for how long", () => {
  // The boss's clock is an hour ahead.
  const ahead = 3_600_000;
  const hello = { instance: "one", version: "0", seq: 0, now: ahead + 10 };
  const state = after(open(), { type: "connected", hello, resumed: true, at: 10 });
  const lost = after(
    state,
    { type: "disconnected", at: 20 },
    { type: "clock-ticked", now: ahead + 50 },
    { type: "disconnected", at: 60 },
  );
  assert.deepEqual([lost.lostAt, lost.now, lost.lostForMs], [ahead + 20, ahead + 20, 30]);
  const back = after(lost, { type: "connected", hello, resumed: true, at: 10 });
  assert.deepEqual([back.lostAt, back.now], [null, ahead + 10]);
  assert.equal(after(back, { type: "clock-ticked", now: ahead + 70 }).now, ahead + 70);
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

/** So many runs of one pipeline begin and end. */
const crowd = (from: number, count: number, pipeline: string): Message => ({
  type: "run-events",
  events: Array.from({ length: count }, (_, n) =>
    logged(from + n, 100 * (from + n), pipeline),
  ).flat(),
});

test("the newest runs of a pipeline stay known, however many of others follow", () => {
  const trend = { version: "1", data: [summary(1, 5, "quiet")], problem: null };
  const state = after(
    open("/", [summary(50, 5, "other")]),
    { type: "fetched", url: trendUrl("quiet"), answer: trend },
    { type: "run-events", events: logged(200, 1, "quiet") },
    crowd(201, 2 * maxRuns, "loud"),
  );
  const [last] = runsOf(state, "quiet");
  assert.deepEqual([last?.id, last?.status], [200, "failed"]);
  assert.equal(listedRuns(state).length, maxRuns, "which makes the list no longer");
});

test("of each pipeline no more are kept than its card shows", () => {
  const state = after(open(), ...[1, 2, 3].map((n) => crowd(1000 * n, maxRuns, `p${n}`)));
  assert.equal(state.runs.size, maxRuns + 2 * trendRuns);
});

test("a run that goes on stays known and is told of, however old", () => {
  const state = after(
    open(),
    { type: "run-events", events: logged(1, 1).slice(0, 5) },
    crowd(2, 2 * maxRuns, "loud"),
  );
  assert.equal(listedRuns(state).at(-1)?.id, 1);
  const ended = after(state, {
    type: "run-events",
    events: logged(1, 1e6).slice(5),
  });
  assert.equal(ended.runs.get(1)?.summary?.status, "failed");
});

test("a run older than the list that is still heard of is fetched whole", () => {
  const state = after(open("/", [summary(300, 5)]), {
    type: "run-events",
    events: logged(7, 1).slice(5, 6),
  });
  assert.deepEqual(wantedRuns(state), [7]);
});

test("a pipeline has no runs only when that is known", () => {
  const all = Array.from({ length: maxRuns }, (_, n) => summary(n + 1, 5, "loud"));
  assert.equal(lacksTrend(initialState(parseRoute(at("/")), 0), "quiet"), true);
  assert.equal(lacksTrend(open("/", all.slice(1)), "quiet"), false);
  assert.equal(lacksTrend(open("/", all), "quiet"), true);
});

test("whatever the number of pipelines, what home wishes for is kept", () => {
  const names = Array.from({ length: 20 }, (_, n) => `p${n}`);
  const pipelines = names.map((name) => ({ name, pipedef: "", pipeline: null, problem: null }));
  const runs = Array.from({ length: maxRuns }, (_, n) => summary(n + 1, 5, "p0"));
  let state = after(open("/", runs), { type: "pipelines-told", pipelines });
  const wishes = wishesOf(state);
  assert.equal(wishes.length, 40);
  for (const { url, version } of wishes) {
    state = after(state, { type: "fetched", url, answer: { version, data: [], problem: null } });
  }
  assert.ok(wishes.every(({ url }) => state.fetched.has(url)));
});

test("a history is fetched again when a run ends, even one that is not the newest", () => {
  const versions = [
    [summary(4, null), summary(5, null)],
    [summary(4, null), summary(5, 10)],
    [summary(4, 20), summary(5, 10)],
  ].map((runs) => wishesOf(open("/history/demo", runs)).map(({ url, version }) => [url, version]));
  assert.deepEqual(versions[0]?.[0]?.[0], historyUrl("demo"));
  assert.equal(new Set(versions.map((list) => list[0]?.[1])).size, 3);
});

test("a run that goes on is compared as it is by now", () => {
  const list = open("/compare/1/2", [summary(2, null), summary(1, 5)]);
  assert.deepEqual(
    wishesOf(list).map(({ url }) => url),
    ["/api/runs/1"],
  );
  assert.deepEqual(wantedRuns(list), [2]);
  const told = after(
    list,
    { type: "run-loaded", snapshot: { seq: 4, run: folded(4, 2) } },
    { type: "run-events", events: logged(2).slice(4) },
  );
  assert.deepEqual(comparedRun(told, 2), folded(story.length, 2));
  assert.equal(wishesOf(told).length, 2, "one that has ended need not stay known");
});
