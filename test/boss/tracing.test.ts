import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { OtlpExporter } from "../../src/boss/tracing/otlp.js";
import { type Span, Spans } from "../../src/boss/tracing/spans.js";
import type { RunEvent } from "../../src/model/events.js";
import { startRig } from "../rig/rig.js";
import { eventually } from "../rig/worker.js";

interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: { readonly code: number };
}

/** Takes OTLP over HTTP as a collector does; each request is answered with the next status, then 200. */
async function startReceiver(statuses: number[] = [], { silent = false } = {}) {
  const bodies: string[] = [];
  let requests = 0;
  const server = createServer(async (request, response) => {
    requests += 1;
    let body = "";
    for await (const chunk of request) body += chunk;
    if (silent) return;
    const isOurs =
      request.method === "POST" &&
      request.url === "/v1/traces" &&
      request.headers["content-type"] === "application/json";
    const status = isOurs ? (statuses.shift() ?? 200) : 404;
    if (status === 200) bodies.push(body);
    response.writeHead(status, { "content-type": "application/json" }).end("{}");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bodies,
    requests: () => requests,
    spans: (): ReceivedSpan[] =>
      bodies.flatMap((body) => JSON.parse(body).resourceSpans[0].scopeSpans[0].spans),
    [Symbol.dispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

const pipedef = `import { run, stage } from "bettertest";
stage("s", {
  good: async () => {
    await run("any", "echo hunter2-output; : hunter2-command", { env: { A: "hunter2-env" } });
    await run("any", "true");
  },
  thrown: () => { throw new Error("hunter2-message"); },
}).task("flaky", () => run("any", ": hunter2-command; exit 7"), { retries: 1 });`;

test("a run is one trace: run > stage > task > attempt > call, without what anybody wrote", async () => {
  using receiver = await startReceiver([503]);
  {
    await using rig = await startRig({
      files: { ".bettertest/pipedef.ts": pipedef },
      otlp: receiver.url,
    });
    await rig.run();
    // The rest comes with the end of the boss.
  }
  const spans = receiver.spans();
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const pathOf = (span: ReceivedSpan): string => {
    const parent = span.parentSpanId === undefined ? undefined : byId.get(span.parentSpanId);
    return parent ? `${pathOf(parent)} > ${span.name}` : span.name;
  };
  const top = spans.find((span) => span.parentSpanId === undefined)!.name;
  assert.match(top, /^run /);
  assert.deepEqual(spans.map((span) => pathOf(span).replace(top, "run")).sort(), [
    "run",
    "run > s",
    "run > s > flaky",
    "run > s > flaky > attempt 1",
    "run > s > flaky > attempt 1 > call 1",
    "run > s > flaky > attempt 2",
    "run > s > flaky > attempt 2 > call 1",
    "run > s > good",
    "run > s > good > attempt 1",
    "run > s > good > attempt 1 > call 1",
    "run > s > good > attempt 1 > call 2",
    "run > s > thrown",
    "run > s > thrown > attempt 1",
  ]);
  assert.equal(new Set(spans.map(({ traceId }) => traceId)).size, 1);
  assert.match(spans[0]!.traceId, /^[0-9a-f]{32}$/);
  const codes = Object.fromEntries(spans.map((span) => [span.name, span.status.code]));
  assert.equal(codes[top], 2);
  assert.equal(codes.good, 1);
  for (const span of spans) {
    assert.match(span.startTimeUnixNano, /^\d{19}$/);
    assert.ok(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano));
  }
  assert.doesNotMatch(receiver.bodies.join(), /hunter2/);
});

test("a run is not slower where the receiver hangs, and the boss still stops", async () => {
  using receiver = await startReceiver([], { silent: true });
  const rig = await startRig({
    files: { ".bettertest/pipedef.ts": pipedef },
    otlp: receiver.url,
  });
  assert.equal((await rig.run()).status, "failed");
  await eventually(() => receiver.requests() > 0);
  const again = await rig.run({ only: ["s.good"] });
  assert.equal(again.status, "passed");
  const stopping = Date.now();
  await rig[Symbol.asyncDispose]();
  // Its last words have 2 s.
  assert.ok(Date.now() - stopping < 10_000);
});

function storyOf(at: number): RunEvent[] {
  const ref = { stage: "s", task: "t", attempt: 1 };
  return [
    {
      type: "run-created",
      at,
      pipelineName: "p",
      pipedef: "/p.ts",
      keepGoing: false,
      trigger: "api",
    },
    { type: "stage-started", at: at + 1, stage: "s" },
    { type: "task-queued", at: at + 2, stage: "s", task: "t" },
    { type: "attempt-started", at: at + 3, ...ref },
    { type: "attempt-finished", at: at - 50, ...ref, end: { status: "passed" } },
    { type: "run-finished", at: at + 9, verdict: "passed" },
  ];
}

function spansOf(events: readonly RunEvent[], spans = new Spans()): Span[] {
  return events.flatMap((event, index) => spans.take({ seq: index + 1, run: 7, event }));
}

test("the boss that goes on with a run tells the same ids, and each span once", () => {
  const events = storyOf(1_000_000);
  const inOneGo = spansOf(events);
  for (let killedAfter = 1; killedAfter < events.length; killedAfter++) {
    const before = spansOf(events.slice(0, killedAfter));
    const successor = new Spans();
    spansOf(events.slice(0, killedAfter), successor);
    const after = spansOf(events.slice(killedAfter), successor);
    assert.deepEqual([...before, ...after], inOneGo);
  }
  const other = spansOf(storyOf(1_000_001));
  assert.notEqual(other[0]!.traceId, inOneGo[0]!.traceId);
});

test("what is open ends with its run, and no span ends before it begins", () => {
  const spans = spansOf(storyOf(1_000_000));
  assert.deepEqual(
    spans.map(({ name, startedAt, endedAt }) => [name, endedAt - startedAt]),
    [
      ["attempt 1", 0],
      ["t", 0],
      // Its end was never told.
      ["s", 8],
      ["run p", 9],
    ],
  );
});

const someSpans = (count: number): Span[] =>
  Array.from({ length: count }, (_, index) => ({
    traceId: "0".repeat(32),
    spanId: String(index).padStart(16, "0"),
    name: `span ${index}`,
    startedAt: 1,
    endedAt: 2,
    attributes: {},
    status: "ok",
  }));

test("spans wait for a receiver that is away, up to a limit, in order", async () => {
  using receiver = await startReceiver([503, 429, 500]);
  const logged: string[] = [];
  const exporter = new OtlpExporter({
    url: receiver.url,
    log: (line) => logged.push(line),
    queueLimit: 25,
    batchSize: 10,
    settleMs: 1,
    firstRetryMs: 1,
  });
  exporter.add(someSpans(40));
  await eventually(() => exporter.counts.sent === 25);
  assert.deepEqual(exporter.counts, { sent: 25, dropped: 15 });
  assert.deepEqual(
    receiver.spans().map(({ name }) => name),
    someSpans(25).map(({ name }) => name),
  );
  assert.deepEqual(
    logged.map((line) => line.replace(receiver.url, "URL")),
    [
      "traces cannot be sent to URL/v1/traces (it answered 503); trying again",
      "traces are sent to URL/v1/traces again",
    ],
  );
  await exporter.close(1_000);
});

test("what a receiver refuses is dropped, not sent for ever", async () => {
  using receiver = await startReceiver([400]);
  const logged: string[] = [];
  const exporter = new OtlpExporter({
    url: `${receiver.url}/v1/traces`,
    log: (line) => logged.push(line),
    settleMs: 1,
  });
  exporter.add(someSpans(3));
  await eventually(() => exporter.counts.dropped === 3);
  assert.match(logged.join(), /refused 3 spans: it answered 400/);
  exporter.add(someSpans(2));
  await exporter.close(5_000);
  assert.deepEqual(exporter.counts, { sent: 2, dropped: 3 });
});
