// POST /run: what old clients rely on, byte for byte.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  createScriptedExecutor,
  deferred,
  eventually,
  image,
  startTestWorker,
} from "../rig/worker.js";

const real = await startTestWorker({ executor: "process" });
after(() => real[Symbol.asyncDispose]());

async function post(url: string, body: unknown, signal?: AbortSignal) {
  return fetch(`${url}/run`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...(signal && { signal }),
  });
}

async function run(command: string, more: object = {}) {
  const response = await post(real.url, { image, command, ...more });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const text = await response.text();
  return text.replace(/^event: started\ndata: [\w-]+\n\n/, "[started]");
}

test("started, a log for each line, done with the exit code", async () => {
  assert.equal(
    await run("echo hi; echo there >&2; exit 7"),
    "[started]event: log\ndata: hi\n\nevent: log\ndata: there\n\nevent: done\ndata: 7\n\n",
  );
});

test("no output, and no line end at the end", async () => {
  assert.equal(await run("true"), "[started]event: done\ndata: 0\n\n");
  assert.equal(
    await run("printf partial"),
    "[started]event: log\ndata: partial\n\nevent: done\ndata: 0\n\n",
  );
});

test("progress bars, bytes that are not UTF-8, and characters cut in two", async () => {
  assert.equal(
    await run(
      String.raw`printf '1%%\r2%%\n'; printf '\377\n'; printf '\342\202'; sleep 0.2; printf '\254\n'`,
    ),
    "[started]" +
      ["1%", "2%", "\ufffd", "€"].map((line) => `event: log\ndata: ${line}\n\n`).join("") +
      "event: done\ndata: 0\n\n",
  );
});

test("a timeout is an error in words", async () => {
  assert.equal(
    await run("sleep 100", { timeoutMs: 100 }),
    "[started]event: error\ndata: timed out after 100 ms\n\n",
  );
});

test("a fault is an error with its hint, and never an exit code", async () => {
  const executor = createScriptedExecutor();
  await using worker = await startTestWorker({ executor });
  const response = await post(worker.url, { image, command: "x" });
  (await executor.nextCommand()).fault(new Error("the engine\nexploded"));
  const text = await response.text();
  assert.equal(
    text,
    "event: started\ndata: scripted-1\n\nevent: error\ndata: the engine\ndata: exploded\n\n",
  );
});

test("a line is sent as soon as it is whole, and a waiting stream is kept alive between events", async () => {
  const executor = createScriptedExecutor();
  await using worker = await startTestWorker({ executor, keepAliveMs: 30 });
  const response = await post(worker.url, { image, command: "x" });
  const command = await executor.nextCommand();
  let text = "";
  const seen = deferred<void>();
  const reading = (async () => {
    for await (const chunk of response.body!) {
      text += Buffer.from(chunk).toString();
      if (/data: one\n\n(: keep-alive\n\n)+$/.test(text)) seen.resolve();
    }
  })();
  command.write("one\ntw");
  await seen.promise;
  command.write("o\n");
  command.exit(0);
  await reading;
  assert.equal(
    text.replaceAll(": keep-alive\n\n", ""),
    "event: started\ndata: scripted-1\n\nevent: log\ndata: one\n\nevent: log\ndata: two\n\nevent: done\ndata: 0\n\n",
  );
});

test("a client that goes away ends its command within 2 s, and everything is removed", async () => {
  const executor = createScriptedExecutor();
  await using worker = await startTestWorker({ executor, slots: 1 });
  const leaving = new AbortController();
  const response = await post(worker.url, { image, command: "x" }, leaving.signal);
  const command = await executor.nextCommand();
  const left = Date.now();
  leaving.abort();
  await response.text().catch(() => {});
  await eventually(() => executor.disposed === 1);
  assert.ok(Date.now() - left < 2000);
  assert.deepEqual(command.signals, ["SIGKILL"]);
  await eventually(() => worker.worker.info().running === 0);
});

for (const [what, body, words] of [
  ["no JSON", "{", /not JSON/],
  ["no object", "[]", /expected object/],
  ["no image", { command: "x" }, /^image: /],
  ["an empty command", { image, command: "" }, /^command: /],
  ["a wrong type", { image, command: "x", timeoutMs: "1s" }, /^timeoutMs: /],
  ["an unknown field", { image, command: "x", timeout: 3 }, /"timeout"/],
  ["a bad name of a variable", { image, command: "x", env: { "A=B": "c" } }, /^env/],
] as const) {
  test(`${what} is a 400 that names it`, async () => {
    const response = await post(real.url, body);
    assert.equal(response.status, 400);
    const { error } = (await response.json()) as { error: string };
    assert.match(error, words);
  });
}

test("a body over 1 MiB is a 413", async () => {
  const response = await post(real.url, { image, command: "x".repeat(1_100_000) });
  assert.equal(response.status, 413);
});

test("health, info, and a path that is not there", async () => {
  const health = await fetch(`${real.url}/health`);
  assert.deepEqual([health.status, await health.text()], [200, "ok\n"]);
  const info = await (await fetch(`${real.url}/info`)).json();
  assert.deepEqual(info, { ...real.worker.info() });
  assert.equal((await fetch(`${real.url}/nothing`)).status, 404);
});

test("what no program can be started with is refused by name, not run into a red test", async () => {
  const refusal = async (body: object) => {
    const response = await post(real.url, { image, command: "true", ...body });
    assert.equal(response.status, 400);
    return ((await response.json()) as { error: string }).error;
  };
  assert.equal(await refusal({ command: "echo \0" }), "command: must not hold a zero byte");
  assert.equal(await refusal({ env: { A: "\0" } }), "env.A: must not hold a zero byte");
  assert.equal(
    await refusal({ command: `: ${"ä".repeat(65_535)}` }),
    "command: must not be longer than 131071 bytes: put it in a script",
  );
  assert.match(await run(`: ${"x".repeat(131_069)}`), /done\ndata: 0/);
});
