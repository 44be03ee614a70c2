// Whatever is asked of boss and worker: an answer in words, with the name of the field, and never a 500.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import fc from "fast-check";
import { createApp } from "../../src/boss/app.js";
import { BadRequest, parseBody } from "../../src/wire/body.js";
import { RerunRequest, StartRunRequest } from "../../src/wire/boss.js";
import { StreamCount } from "../../src/wire/stream-count.js";
import { CommandRequest } from "../../src/wire/worker.js";
import { Admission } from "../../src/worker/admission.js";
import { createWorkerApp } from "../../src/worker/app.js";
import { Executions } from "../../src/worker/executions.js";
import { ExecutorFault } from "../../src/worker/executors/executor.js";
import { KeptSandboxes } from "../../src/worker/kept/kept.js";
import { WorkerMetrics } from "../../src/worker/metrics.js";
import { openSources } from "../../src/worker/sources/sources.js";
import { startRig } from "../rig/rig.js";
import { fuzzAsync, textOf } from "./fuzz.js";

const rig = await startRig({
  files: {
    ".bettertest/pipedef.ts": `
      import { stage } from "bettertest";
      stage("s", { prints: () => console.log("one\\ntwo") });`,
  },
});
await rig.run();
const failures: string[] = [];
const boss = createApp(rig.boss.engine, { version: "0", log: (line) => failures.push(line) });

const folder = mkdtempSync(join(tmpdir(), "bettertest-fuzz-"));
const metrics = new WorkerMetrics();
const sources = openSources({
  folder: undefined,
  ownFolder: folder,
  maxBytes: 1_000_000,
  maxCacheBytes: 1_000_000,
  log: () => {},
});
const kept = new KeptSandboxes({ most: 0, changed: () => {}, log: () => {} });
const executions = new Executions({
  sources,
  kept,
  keepFailedMs: 0,
  executor: {
    name: "none",
    isolated: true,
    open: () => Promise.reject(new ExecutorFault("nothing runs here")),
    close: () => Promise.resolve(),
  },
  admission: new Admission({ slots: 1000, changed: () => {} }),
  folder,
  most: 1000,
  maxOutputBytes: 1000,
  maxArtifactBytes: 0,
  leaseMs: 1000,
  graceMs: 1000,
  metrics,
  log: () => {},
});
const info = {
  version: "0",
  executor: "none",
  isolated: true,
  slots: 1,
  running: 0,
  queued: 0,
  ready: 0,
  problem: null,
  kept: [],
};
const worker = createWorkerApp({
  executions,
  sources,
  kept,
  metrics,
  expect: () => {},
  info: () => info,
  maxima: {},
  async *followInfo() {
    yield info;
  },
  keepAliveMs: 1000,
  streams: new StreamCount(1000),
  refusesNew: () => null,
});

after(async () => {
  metrics.close();
  await executions.stop();
  await sources.close();
  rmSync(folder, { recursive: true });
  await rig[Symbol.asyncDispose]();
});

const fields = ["image", "command", "env", "secrets", "workdir", "user", "timeoutMs", "cpus"];
const bossFields = ["pipeline", "only", "keepGoing", "failed", "toString", "__proto__"];
const odd = fc.oneof(
  fc.constantFrom<unknown>(null, true, 0, -1, 1.5, 1e308, "", "x", "/", "\0", "../..", "\ud800"),
  fc.constantFrom<unknown>([], [[]], ["s"], [""], {}, { a: "b" }, { "=": "b" }, { a: 1 }),
  textOf(['"', "{", "\n", "%00", "é"], 4),
);
const json = fc.oneof(
  { weight: 5, arbitrary: fc.dictionary(fc.constantFrom(...fields, ...bossFields), odd) },
  { weight: 1, arbitrary: odd },
);
const bodyText = fc.oneof(
  { weight: 5, arbitrary: json.map((value) => JSON.stringify(value)) },
  { weight: 1, arbitrary: textOf(["{", "}", '"a"', ":", ",", "[", "1", "nul", "\\u00"], 6) },
);

interface Refusal {
  readonly error: string;
  readonly field?: string;
}

async function refusalOf(response: Response, body: string): Promise<Refusal> {
  const text = await response.text();
  assert.ok(response.status >= 400 && response.status < 500, `${response.status} ${text} ${body}`);
  const refusal = JSON.parse(text) as Refusal;
  assert.equal(typeof refusal.error, "string", text);
  return refusal;
}

/** Of what an object holds or lacks, the words must name one. */
function namesField({ error }: Refusal, parsed: unknown, wanted: readonly string[]): void {
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return;
  const known = [...Object.keys(parsed), ...wanted];
  assert.ok(
    known.some((name) => error.includes(name)),
    `${error} for ${JSON.stringify(parsed)}`,
  );
}

function parsedOrUndefined(text: string): unknown {
  try {
    return text.trim() === "" ? {} : JSON.parse(text);
  } catch {
    return undefined;
  }
}

fuzzAsync("a body is taken, or refused in words that name a field", bodyText, async (body) => {
  const request = new Request("http://boss", { method: "POST", body });
  try {
    await parseBody(request, CommandRequest);
    assert.ok(CommandRequest.safeParse(JSON.parse(body)).success);
  } catch (error) {
    assert.ok(error instanceof BadRequest, String(error));
    namesField({ error: error.message }, parsedOrUndefined(body), ["image", "command"]);
  }
});

fuzzAsync(
  "a body that the boss does not take is refused by its field",
  bodyText,
  async (body) => {
    const parsed = parsedOrUndefined(body);
    const start = StartRunRequest.safeParse(parsed);
    // Else it would run.
    fc.pre(!(start.success && [undefined, "repo"].includes(start.data.pipeline)));
    const request = { method: "POST", body };
    const refusal = await refusalOf(await boss.request("/api/runs", request), body);
    namesField(refusal, parsed, ["pipeline"]);
    if (RerunRequest.safeParse(parsed).success) return;
    namesField(await refusalOf(await boss.request("/api/runs/1/rerun", request), body), parsed, []);
    assert.deepEqual(failures, []);
  },
  { fewer: 25 },
);

fuzzAsync(
  "a body that the worker does not take is refused by its field",
  fc.record({ body: bodyText, id: textOf(["a", "1", "-", "..", "%2f", "/", "%00", "é"], 4) }),
  async ({ body, id }) => {
    const parsed = parsedOrUndefined(body);
    const taken = CommandRequest.safeParse(parsed).success;
    fc.pre(!taken);
    const refusal = await refusalOf(await worker.request("/run", { method: "POST", body }), body);
    namesField(refusal, parsed, ["image", "command"]);
    const path = `/executions/${encodeURIComponent(id.replace(/[\ud800-\udfff]/gu, ""))}`;
    await refusalOf(await worker.request(path, { method: "PUT", body }), body);
  },
  { fewer: 25 },
);

const number = textOf(
  ["0", "1", "9", "99999999999999999999", "-", "+", ".", "e", " ", "0x", "%"],
  4,
);
const numbers = ["limit", "before", "attempt", "offset", "tail", "from", "count", "after"];
const places = [
  "/api/runs",
  "/api/runs/1",
  "/api/runs/1/events",
  "/api/runs/1/tasks/s/prints/output",
  "/api/runs/1/tasks/s/prints/output/lines",
  "/api/runs/1/tasks/s/prints/output/outline",
  "/api/run/1/events",
  "/api/events",
];

fuzzAsync(
  "numbers in queries and headers are read or refused",
  fc.record({
    place: fc.constantFrom(...places),
    query: fc.dictionary(fc.constantFrom(...numbers), number, { maxKeys: 2 }),
    last: fc.option(
      number.map((text) => text.replace(/[^\x20-\x7e]/g, "")),
      { nil: undefined },
    ),
  }),
  async ({ place, query, last }) => {
    const path = `${place}?${new URLSearchParams(query)}`;
    const headers = last === undefined ? {} : { "last-event-id": last };
    const response = await boss.request(path, { headers });
    assert.ok(response.status < 500, `${response.status} ${path}`);
    if (response.status === 400) {
      const { error, field } = (await response.json()) as Refusal;
      assert.ok(field !== undefined && error.includes(field), error);
    } else await response.body?.cancel();
    assert.deepEqual(failures, []);
  },
  { fewer: 25 },
);

fuzzAsync(
  "the worker's numbers too",
  fc.record({ offset: number, last: number.map((text) => text.replace(/[^\x20-\x7e]/g, "")) }),
  async ({ offset, last }) => {
    const put = await worker.request("/executions/known", {
      method: "PUT",
      headers: { "last-event-id": last },
      body: JSON.stringify({ image: "i", command: "c" }),
    });
    assert.ok([200, 400].includes(put.status), String(put.status));
    await put.body?.cancel();
    const query = new URLSearchParams({ offset });
    const response = await worker.request(`/executions/known/output?${query}`);
    assert.ok([200, 400, 404].includes(response.status), String(response.status));
    await response.body?.cancel();
  },
  { fewer: 25 },
);
