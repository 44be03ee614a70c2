// PUT, GET and DELETE /executions/{id}: the contract of bosses.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSse } from "../../src/lib/sse.js";
import { ExecutionEvent } from "../../src/wire/worker.js";
import { type Executor, ExecutorFault } from "../../src/worker/executors/executor.js";
import { createScriptedExecutor, eventually, image, startTestWorker } from "../rig/worker.js";

async function put(
  url: string,
  id: string,
  { command = "x", more = {}, headers = {}, signal = null as AbortSignal | null } = {},
) {
  return fetch(`${url}/executions/${id}`, {
    method: "PUT",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ image, command, ...more }),
    signal,
  });
}

async function* eventsOf(
  response: Response,
): AsyncGenerator<{ id: string; event: ExecutionEvent }> {
  assert.equal(response.status, 200);
  for await (const { event, data, id } of parseSse(response.body!)) {
    const parsed = ExecutionEvent.parse(JSON.parse(data));
    assert.equal(event, parsed.type);
    yield { id: id!, event: parsed };
  }
}

async function allEventsOf(response: Response) {
  const events: [string, ExecutionEvent][] = [];
  for await (const { id, event } of eventsOf(response)) events.push([id, event]);
  return events;
}

function setUp(options: { slots?: number; leaseMs?: number } = {}) {
  const executor = createScriptedExecutor();
  return startTestWorker({ executor, slots: 1, ...options }).then((worker) => ({
    executor,
    url: worker.url,
    execute: worker.execute,
    info: () => worker.worker.info(),
    [Symbol.asyncDispose]: () => worker[Symbol.asyncDispose](),
  }));
}

test("the events of a command, numbered from 1, and its output by offset", async () => {
  await using rig = await setUp();
  const events = allEventsOf(await put(rig.url, "a"));
  const command = await rig.executor.nextCommand();
  const whole = fetch(`${rig.url}/executions/a/output`);
  const part = fetch(`${rig.url}/executions/a/output?offset=6`);
  command.write("hello ");
  command.write("world");
  command.exit(3);
  assert.deepEqual(await events, [
    ["1", { type: "started", sandbox: "scripted-1" }],
    ["2", { type: "finished", outcome: { kind: "exited", exitCode: 3 }, outputBytes: 11 }],
  ]);
  assert.equal(await (await whole).text(), "hello world");
  assert.equal(await (await part).text(), "world");
});

test("nothing is said of the files of a command whose image could not be built", async () => {
  const build = { kind: "failed", step: "1/1: RUN false", message: "no" } as const;
  const executor: Executor = {
    name: "unbuilt",
    isolated: true,
    open: async () => ({
      id: "unbuilt",
      run: async () => ({ exitCode: 1, outOfMemory: false, build }),
      kill: () => false,
      dispose: async () => {},
    }),
    close: async () => {},
  };
  await using worker = await startTestWorker({ executor });
  const more = { results: ["junit.xml"], artifacts: ["out/**"] };
  const events = await allEventsOf(await put(worker.url, "a", { more }));
  assert.deepEqual(events.at(-1)?.[1], {
    ...{ type: "finished", outputBytes: 0 },
    outcome: { kind: "exited", exitCode: 1, build },
  });
});

test("a repeated PUT attaches to the same execution and replays what its reader has not seen", async () => {
  await using rig = await setUp();
  const first = eventsOf(await put(rig.url, "a"));
  assert.equal((await first.next()).value?.id, "1");
  const command = await rig.executor.nextCommand();
  const again = allEventsOf(await put(rig.url, "a"));
  const resumed = allEventsOf(await put(rig.url, "a", { headers: { "last-event-id": "1" } }));
  command.exit(0);
  const finished = { kind: "exited", exitCode: 0 } as const;
  assert.deepEqual(
    (await again).map(([id, event]) => `${id} ${event.type}`),
    ["1 started", "2 finished"],
  );
  assert.deepEqual(await resumed, [["2", { type: "finished", outcome: finished, outputBytes: 0 }]]);
  assert.equal((await first.next()).value?.id, "2");
  // Also after the end, until it is deleted.
  assert.equal((await allEventsOf(await put(rig.url, "a"))).length, 2);
  assert.equal((await put(rig.url, "a", { command: "something else" })).status, 409);
  assert.equal((await fetch(`${rig.url}/executions/a`, { method: "DELETE" })).status, 204);
  assert.equal((await fetch(`${rig.url}/executions/a/output`)).status, 404);
});

test("a client that comes back within the lease finds its command running", async () => {
  await using rig = await setUp({ leaseMs: 60_000 });
  const leaving = new AbortController();
  const first = eventsOf(await put(rig.url, "a", { signal: leaving.signal }));
  await first.next();
  const command = await rig.executor.nextCommand();
  command.write("before ");
  leaving.abort();
  await first.next().catch(() => {});
  const events = allEventsOf(await put(rig.url, "a", { headers: { "last-event-id": "1" } }));
  command.write("after");
  command.exit(0);
  assert.equal((await events).at(-1)?.[0], "2");
  assert.equal(await (await fetch(`${rig.url}/executions/a/output`)).text(), "before after");
  assert.deepEqual(command.signals, []);
});

test("a client that stays away for longer than the lease loses it, within 2 s", async () => {
  await using rig = await setUp({ leaseMs: 200 });
  const leaving = new AbortController();
  const first = eventsOf(await put(rig.url, "a", { signal: leaving.signal }));
  await first.next();
  const command = await rig.executor.nextCommand();
  const left = Date.now();
  leaving.abort();
  await eventually(() => rig.executor.disposed === 1);
  const tookMs = Date.now() - left;
  assert.ok(tookMs >= 200 && tookMs < 2000, `took ${tookMs} ms`);
  assert.deepEqual(command.signals, ["SIGKILL"]);
  assert.equal((await fetch(`${rig.url}/executions/a/output`)).status, 404);
});

test("DELETE cancels what runs and what waits, and answers when the sandbox is gone", async () => {
  await using rig = await setUp();
  const running = allEventsOf(await put(rig.url, "running"));
  const command = await rig.executor.nextCommand();
  const waiting = allEventsOf(await put(rig.url, "waiting"));
  await eventually(() => rig.info().queued === 1);
  await fetch(`${rig.url}/executions/waiting`, { method: "DELETE" });
  assert.deepEqual(await waiting, [
    ["1", { type: "queued", ahead: 0 }],
    ["2", { type: "finished", outcome: { kind: "cancelled" }, outputBytes: 0 }],
  ]);
  await fetch(`${rig.url}/executions/running`, { method: "DELETE" });
  assert.equal(rig.executor.disposed, 1);
  assert.deepEqual(command.signals, ["SIGKILL"]);
  assert.deepEqual((await running).at(-1)?.[1], {
    type: "finished",
    outcome: { kind: "cancelled" },
    outputBytes: 0,
  });
  assert.equal((await fetch(`${rig.url}/executions/unknown`, { method: "DELETE" })).status, 204);
});

test("the events stream tells each change of the worker", async () => {
  await using rig = await setUp();
  const leaving = new AbortController();
  const response = await fetch(`${rig.url}/events`, { signal: leaving.signal });
  const infos = parseSse(response.body!);
  const next = async () => JSON.parse((await infos.next()).value?.data ?? "{}");
  assert.deepEqual(await next(), { ...rig.info(), running: 0 });
  await put(rig.url, "a");
  assert.equal((await next()).running, 1);
  (await rig.executor.nextCommand()).exit(0);
  assert.equal((await next()).running, 0);
  leaving.abort();
});

test("a client with a lease keeps its command as long as it is heard from, and no longer", async () => {
  await using rig = await setUp({ leaseMs: 60_000 });
  const headers = { "bettertest-lease-ms": "1000" };
  const events = allEventsOf(await put(rig.url, "a", { headers }));
  const command = await rig.executor.nextCommand();
  const started = Date.now();
  const renew = () => fetch(`${rig.url}/executions/a/lease`, { method: "POST" });
  let renewedAt = started;
  while (Date.now() - started < 1500) {
    // Before the request: the worker's clock starts somewhere between that and the answer.
    renewedAt = Date.now();
    assert.equal((await renew()).status, 204);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  // Its stream is open all the time: a cut network does not close streams.
  const end = (await events).at(-1)?.[1];
  assert.ok(Date.now() - renewedAt >= 990);
  assert.match(JSON.stringify(end), /faulted.*longer than the lease.*workerLost/);
  assert.deepEqual(command.signals, ["SIGKILL"]);
  await eventually(async () => (await renew()).status === 404);
});

test("a HEAD is nobody who reads: a client that is gone is gone", async () => {
  await using rig = await setUp({ leaseMs: 100 });
  const away = new AbortController();
  await put(rig.url, "a", { signal: away.signal });
  const command = await rig.executor.nextCommand();
  const head = await fetch(`${rig.url}/executions/a/output`, { method: "HEAD" });
  assert.equal(head.status, 200);
  away.abort();
  await eventually(() => command.signals.includes("SIGKILL"));
});

test("what ended while its client was away is kept for longer than the lease", async () => {
  await using rig = await setUp();
  const headers = { "bettertest-lease-ms": "500" };
  const away = new AbortController();
  await put(rig.url, "a", { headers, signal: away.signal });
  const command = await rig.executor.nextCommand();
  away.abort();
  command.write("done");
  command.exit(3);
  // A lease that began later, of a command that goes on, shows that the time is up.
  const events = allEventsOf(await put(rig.url, "b", { headers }));
  assert.match(JSON.stringify((await events).at(-1)), /longer than the lease/);
  const resumed = await put(rig.url, "a", { headers: { ...headers, "bettertest-resume": "1" } });
  assert.match(JSON.stringify((await allEventsOf(resumed)).at(-1)), /"exitCode":3/);
  assert.equal(await (await fetch(`${rig.url}/executions/a/output`)).text(), "done");
});

test("who resumes starts nothing, and sees who answers", async () => {
  await using rig = await setUp();
  const resume = { "bettertest-resume": "1" };
  const unknown = await put(rig.url, "a", { headers: resume });
  assert.equal(unknown.status, 404);
  assert.equal(rig.info().running, 0);
  const events = allEventsOf(await put(rig.url, "a"));
  const command = await rig.executor.nextCommand();
  const resumed = await put(rig.url, "a", { headers: resume });
  assert.equal(
    resumed.headers.get("bettertest-instance"),
    unknown.headers.get("bettertest-instance"),
  );
  command.exit(0);
  assert.deepEqual(await allEventsOf(resumed), await events);
});

for (const [what, path, init] of [
  ["an id with a slash in it", "/executions/a%2Fb", { method: "PUT", body: "{}" }],
  ["an offset that is no number", "/executions/a/output?offset=-1", {}],
  [
    "a Last-Event-ID that is no number",
    "/executions/b",
    { method: "PUT", headers: { "last-event-id": "x" } },
  ],
  [
    "a lease that is no number",
    "/executions/b",
    { method: "PUT", headers: { "bettertest-lease-ms": "1m" } },
  ],
] as const) {
  test(`${what} is a 400`, async () => {
    await using rig = await setUp();
    await put(rig.url, "a");
    const body = init.method ? JSON.stringify({ image, command: "x" }) : null;
    assert.equal((await fetch(rig.url + path, { ...init, body })).status, 400);
  });
}

test("stop ends everything within its time, says so to the clients, and takes no more", async () => {
  const rig = await setUp({ slots: 2 });
  const events = allEventsOf(await put(rig.url, "a"));
  const command = await rig.executor.nextCommand();
  const waiting = [put(rig.url, "b"), put(rig.url, "c")];
  await Promise.all(waiting);
  const before = Date.now();
  await rig[Symbol.asyncDispose]();
  assert.ok(Date.now() - before < 12_000);
  assert.deepEqual((await events).at(-1)?.[1], {
    type: "finished",
    outcome: { kind: "faulted", message: "the worker was stopped", workerLost: true },
    outputBytes: 0,
  });
  assert.deepEqual(command.signals, ["SIGKILL"]);
  assert.equal(rig.executor.disposed, 2);
  await assert.rejects(put(rig.url, "d"));
});

test("a command whose engine goes away before it began waits until that is back", async () => {
  const scripted = createScriptedExecutor();
  let tell: (problem: string | null) => void = () => {};
  let isAway = true;
  let lost = 0;
  const executor = {
    ...scripted,
    onProblem: (listener: typeof tell) => {
      tell = listener;
    },
    open: async (...given: Parameters<typeof scripted.open>) => {
      if (!isAway) return scripted.open(...given);
      lost += 1;
      // It is noticed by whoever asks first.
      tell("the engine is away");
      throw new ExecutorFault("the engine did not answer", { lost: true });
    },
  };
  await using worker = await startTestWorker({ executor, slots: 1 });
  const waiting = worker.execute("first");
  await eventually(() => lost === 1 && worker.worker.info().queued === 1);
  assert.equal(worker.worker.info().running, 0);
  isAway = false;
  tell(null);
  (await scripted.nextCommand()).exit(4);
  assert.deepEqual((await waiting).outcome, { kind: "exited", exitCode: 4 });
  assert.equal(lost, 1);
});

test("an engine that loses every sandbox though it says it is well is asked a few times only", async () => {
  let asked = 0;
  const executor = {
    ...createScriptedExecutor(),
    open: () => {
      asked += 1;
      return Promise.reject(new ExecutorFault("cut off", { lost: true }));
    },
  };
  await using worker = await startTestWorker({ executor, slots: 1 });
  const { outcome } = await worker.execute("never");
  assert.deepEqual(outcome, { kind: "faulted", message: "cut off", workerLost: true });
  assert.ok(asked > 1 && asked < 20, String(asked));
});

test("a command that has ended in time may be learned of when its time is up", async () => {
  await using rig = await setUp();
  const ended = rig.execute("x", { timeoutMs: 50 });
  const command = await rig.executor.nextCommand();
  command.leaveNothingToKill();
  await eventually(() => command.signals.length > 0);
  command.exit(3);
  assert.deepEqual((await ended).outcome, { kind: "exited", exitCode: 3 });
});

test("a command whose time is up has timed out only where its end is known", async () => {
  await using rig = await setUp();
  for (const lost of [true, false]) {
    const ended = rig.execute("x", { timeoutMs: 50 });
    const command = await rig.executor.nextCommand();
    await eventually(() => command.signals.length > 0);
    command.fault(new ExecutorFault("it cannot be told", { lost }));
    const { outcome } = await ended;
    // Another try may tell.
    assert.deepEqual(outcome, {
      kind: "faulted",
      message: "it cannot be told",
      workerLost: true,
    });
  }
});
