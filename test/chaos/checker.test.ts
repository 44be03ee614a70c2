// The checker is told a true story, then lies: it must find each of them.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { LoggedEvent, RunEvent } from "../../src/model/events.js";
import type { TaskEnd } from "../../src/model/failure.js";
import { applyEvents, newRun } from "../../src/model/run.js";
import { check } from "./checker.js";
import type { LedgerEntry } from "./ledger.js";
import { ownLine, plans, type TaskPlan } from "./pipedefs.js";

interface Story {
  events: RunEvent[];
  ledger: LedgerEntry[];
  /** By "task attempt": what each source printed, in order. */
  outputs: Map<string, [source: number, text: string][]>;
  wounds: { kind: "worker-killed"; from: number; to: number }[];
  shown: Map<number, string>;
}

const stage = plans.py[0]!;
const at = 1_000_000;

/** Of one run of the Python pipedef; `quick` loses its worker once. */
function trueStory(): Story {
  const created = {
    type: "run-created",
    at,
    pipelineName: "py",
    pipedef: "/p.py",
    keepGoing: true,
    trigger: "api",
  } as const;
  const tasks = stage.tasks.map(({ task }) => ({ name: task }));
  const pipeline = { stages: [{ name: stage.stage, tasks, always: false }], warnings: [] };
  const story: Story = {
    events: [created, { type: "run-loaded", at, pipeline }],
    ledger: [],
    outputs: new Map(),
    wounds: [{ kind: "worker-killed", from: at, to: at + 1 }],
    shown: new Map(),
  };
  for (const plan of stage.tasks) {
    if (plan.task === "quick") tellAttempt(story, plan, 1, "errored");
    tellAttempt(story, plan, plan.task === "quick" ? 2 : 1, plan.fate);
  }
  story.events.push({ type: "run-finished", at, verdict: "failed" });
  story.events.forEach((event, index) => {
    story.shown.set(index + 1, JSON.stringify({ seq: index + 1, run: 1, event }));
  });
  return story;
}

function tellAttempt(
  story: Story,
  plan: TaskPlan,
  attempt: number,
  how: "errored" | TaskPlan["fate"],
) {
  const ref = { stage: stage.stage, task: plan.task, attempt };
  const printed: [number, string][] = [];
  story.events.push({ type: "attempt-started", at, ...ref });
  plan.calls.forEach(({ lines }, index) => {
    const call = index + 1;
    const sandbox = `${plan.task}${attempt}${call}`.padEnd(12, "0");
    const isLast = call === plan.calls.length;
    const exitCode = isLast ? (plan.exitCode ?? 0) : 0;
    story.ledger.push({
      sandbox,
      task: `py/${stage.stage}/${plan.task}`,
      call,
      startedAt: at,
      end: how === "errored" ? null : { exitCode, lines, at },
    });
    const worker = { command: "c", image: "i", worker: "w" };
    story.events.push({ type: "call-started", at, ...ref, call, sandbox, ...worker });
    const all = Array.from({ length: lines }, (_, line) => `${sandbox} ${call} ${line + 1}\n`);
    printed.push([0, `${ownLine(plan, call)}\n`]);
    printed.push([call, all.slice(0, how === "errored" ? 3 : lines).join("")]);
  });
  const ends: Record<typeof how, TaskEnd> = {
    passed: { status: "passed" },
    failed: {
      status: "failed",
      failure: { kind: "exit", command: "c", exitCode: plan.exitCode ?? 1 },
    },
    errored: { status: "errored", fault: { message: "worker was lost" } },
  };
  const retried = how === "errored" ? ({ retried: true } as const) : {};
  story.events.push({ type: "attempt-finished", at, ...ref, end: ends[how], ...retried });
  story.outputs.set(`${plan.task} ${attempt}`, printed);
}

/** A boss that tells this story over HTTP; what the checker makes of it. */
async function violationsOf({ events, ledger, outputs, wounds, shown }: Story): Promise<string[]> {
  const logged = events.map((event, index): LoggedEvent => ({ seq: index + 1, run: 1, event }));
  const first = events[0];
  assert.ok(first?.type === "run-created");
  const run = applyEvents(newRun(1, first), events.slice(1));
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url!, "http://boss");
    const [, , , , verb, , task, , what] = pathname.split("/");
    if (verb === undefined) return response.end(JSON.stringify({ seq: logged.length, run }));
    if (verb === "events") {
      const lines = logged.map((one) => `id: ${one.seq}\ndata: ${JSON.stringify(one)}\n\n`);
      return response.end(lines.join(""));
    }
    const parts = outputs.get(`${task} ${searchParams.get("attempt")}`);
    if (!parts) return response.writeHead(404).end("{}");
    if (what === undefined) return response.end(parts.map(([, text]) => text).join(""));
    let offset = 0;
    const marks = parts.map(([source, text]) => {
      offset += text.length;
      return [offset - text.length, at, source];
    });
    response.end(JSON.stringify({ marks }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const bossUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const evidence = { bossUrl, runs: [1], ledger, wounds, shown, healedAfterMs: 1_000 };
    return (await check(evidence)).violations;
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test("a true story", async () => {
  assert.deepEqual(await violationsOf(trueStory()), []);
});

function changeEvent<T extends RunEvent["type"]>(
  story: Story,
  type: T,
  task: string,
  change: (event: RunEvent & { type: T }) => RunEvent | null,
) {
  const isMeant = (event: RunEvent): event is RunEvent & { type: T } =>
    event.type === type && "task" in event && event.task === task;
  story.events = story.events.flatMap((event) => (isMeant(event) ? (change(event) ?? []) : event));
  story.shown.clear();
}

const lies: Record<string, [lie: (story: Story) => void, found: RegExp]> = {
  "a red test shown green": [
    (story) =>
      changeEvent(story, "attempt-finished", "red", (event) => ({
        ...event,
        end: { status: "passed" },
      })),
    /red: attempt 1 passed, and its commands ended with 3/,
  ],
  "a green test shown red": [
    (story) =>
      changeEvent(story, "attempt-finished", "chatty", (event) => ({
        ...event,
        end: { status: "failed", failure: { kind: "exit", command: "c", exitCode: 1 } },
      })),
    /chatty: is failed, and should be passed/,
  ],
  "a pass of a command that never ended": [
    (story) => {
      story.ledger.find(({ task }) => task.endsWith("chatty"))!.end = null;
    },
    /chatty: attempt 1 passed, and its commands ended with/,
  ],
  "an errored attempt whose machinery was well": [
    (story) => {
      story.wounds = [{ kind: "worker-killed", from: at + 60_000, to: at + 61_000 }];
    },
    /quick: attempt 1 of run 1 errored, and nothing was hurt/,
  ],
  "a command that no attempt knows of": [
    (story) =>
      story.ledger.push({
        ...story.ledger.find(({ task }) => task.endsWith("steps"))!,
        sandbox: "elsewhere000",
      }),
    /command elsewhere000 .* ran, and no attempt knows of it/,
  ],
  "a line that is missing": [
    (story) => {
      const [, part] = story.outputs.get("chatty 1")!;
      part![1] = part![1].replace(/^.* 200\n/m, "");
    },
    /chatty: attempt 1 call 1: its output has \d+ bytes/,
  ],
  "a line that came twice": [
    (story) => {
      const [, part] = story.outputs.get("chatty 1")!;
      part![1] = part![1].replace(/^(.* 200\n)/m, "$1$1");
    },
    /chatty: attempt 1 call 1: its output has \d+ bytes/,
  ],
  "a gap in a lost attempt": [
    (story) => {
      const [, part] = story.outputs.get("quick 1")!;
      part![1] = part![1].replace(/^.* 2\n/m, "");
    },
    /quick: attempt 1 call 1: its output/,
  ],
  "a line of the task's own that came twice": [
    (story) => story.outputs.get("steps 1")!.push([0, "own steps 3\n"]),
    /steps: attempt 1 printed by itself/,
  ],
  "a call made twice": [
    (story) => {
      const call = story.events.find((event) => event.type === "call-started")!;
      story.events.splice(story.events.indexOf(call), 0, call);
      story.shown.clear();
    },
    /quick: attempt 1 made call 1 twice/,
  ],
  "a run that has not ended": [
    (story) => {
      story.events.pop();
      story.shown.clear();
    },
    /run 1: has not ended/,
  ],
  "an attempt that has not ended": [
    (story) => changeEvent(story, "attempt-finished", "chatty", () => null),
    /chatty: attempt 1 has not ended/,
  ],
  "a task that was skipped": [
    (story) => {
      changeEvent(story, "attempt-finished", "chatty", ({ stage, task }) => ({
        type: "task-skipped",
        at,
        stage,
        task,
        reason: "tired",
      }));
    },
    /chatty: is skipped \(tired\), and should be passed/,
  ],
  "an event that was shown and is gone": [
    (story) =>
      story.shown.set(
        99,
        JSON.stringify({ seq: 99, run: 1, event: { type: "stage-started", at, stage: "Work" } }),
      ),
    /event 99 \(stage-started\) was shown, and the history has nothing there/,
  ],
  "an event that was not shown": [
    (story) => story.shown.delete(5),
    /event 5 \(\S+\) was not shown/,
  ],
  "a verdict that its tasks do not have": [
    (story) => {
      story.events.pop();
      story.events.push({ type: "run-finished", at, verdict: "passed" });
      story.shown.clear();
    },
    /run 1: is passed, and its tasks are failed/,
  ],
};

for (const [lie, [tell, found]] of Object.entries(lies)) {
  test(`it finds ${lie}`, async () => {
    const story = trueStory();
    tell(story);
    const violations = await violationsOf(story);
    assert.ok(
      violations.some((words) => found.test(words)),
      `found only: ${violations.join("\n")}`,
    );
  });
}
