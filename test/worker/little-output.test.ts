// Little output comes between the events of its command; of more, the rest is fetched.

import assert from "node:assert/strict";
import { channel } from "node:diagnostics_channel";
import type { ClientRequest } from "node:http";
import { test } from "node:test";
import { parseSse } from "../../src/lib/sse.js";
import { decodeOutput, outputMessages } from "../../src/wire/told-output.js";
import { workerHeaders } from "../../src/wire/worker.js";
import { createScriptedExecutor, execute, image, startTestWorker } from "../rig/worker.js";

const request = { image, command: "x" };
const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

/** What this process asks of servers, until it is disposed. */
function watchRequests() {
  const requests: string[] = [];
  const started = channel("http.client.request.start");
  const listener = (message: unknown) => {
    const { method, path } = (message as { request: ClientRequest }).request;
    requests.push(`${method} ${path.replace(/executions\/[\w-]+/, "executions/ID")}`);
  };
  started.subscribe(listener);
  return { requests, [Symbol.dispose]: () => void started.unsubscribe(listener) };
}

test("little output, whatever its bytes, takes no request of its own", async () => {
  const executor = createScriptedExecutor();
  await using worker = await startTestWorker({ executor });
  using watch = watchRequests();
  const ended = execute(worker.client, request);
  const command = await executor.nextCommand();
  command.write("first\n");
  command.write(everyByte);
  command.exit(0);
  const { outcome, output } = await ended;
  assert.deepEqual(outcome, { kind: "exited", exitCode: 0 });
  assert.deepEqual(output, Buffer.concat([Buffer.from("first\n"), everyByte]));
  assert.deepEqual(
    watch.requests.filter((each) => !each.startsWith("DELETE")),
    ["PUT /executions/ID"],
  );
});

test("a line is there before its command ends", async () => {
  const executor = createScriptedExecutor();
  await using worker = await startTestWorker({ executor });
  let heard = (_: string) => {};
  const line = new Promise<string>((resolve) => {
    heard = resolve;
  });
  const io = {
    output: (bytes: Uint8Array) => {
      heard(Buffer.from(bytes).toString());
      return undefined;
    },
    started: () => {},
  };
  const ended = worker.client.execute(request, io, new AbortController().signal);
  const command = await executor.nextCommand();
  command.write("still running\n");
  assert.equal(await line, "still running\n");
  command.exit(0);
  assert.deepEqual(await ended, { kind: "exited", exitCode: 0 });
});

test("of more output nothing is missing and nothing comes twice", async () => {
  const executor = createScriptedExecutor();
  await using worker = await startTestWorker({ executor });
  using watch = watchRequests();
  const ended = execute(worker.client, request);
  const command = await executor.nextCommand();
  const pieces = Array.from({ length: 100 }, (_, n) => Buffer.alloc(397, `${n} `));
  for (const [index, piece] of pieces.entries()) {
    command.write(piece);
    if (index % 10 === 0) await new Promise(setImmediate);
  }
  command.exit(0);
  assert.deepEqual((await ended).output, Buffer.concat(pieces));
  const fetched = watch.requests.filter((each) => each.startsWith("GET"));
  assert.equal(fetched.length, 1, fetched.join("\n"));
});

test("who comes back says how much it has, and who does not ask gets events alone", async () => {
  const executor = createScriptedExecutor();
  await using worker = await startTestWorker({ executor });
  const put = (headers: Record<string, string>) =>
    fetch(`${worker.url}/executions/a`, {
      method: "PUT",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(request),
    });
  const told = async (response: Response) => {
    const messages: string[] = [];
    for await (const { event, data } of parseSse(response.body!)) {
      const isOutput = event === outputMessages.some;
      messages.push(isOutput ? Buffer.from(decodeOutput(data)).toString() : event);
    }
    return messages;
  };
  const plain = put({ [workerHeaders.lease]: "60000" });
  const command = await executor.nextCommand();
  command.write("hello ");
  command.write("world");
  command.exit(0);
  assert.deepEqual(await told(await plain), ["started", "finished"]);
  const again = await put({ [workerHeaders.lease]: "60000", [workerHeaders.output]: "6" });
  assert.equal(again.headers.get(workerHeaders.output), "6");
  assert.deepEqual(await told(again), ["started", "world", "finished"]);
  const wrong = await put({ [workerHeaders.output]: "some" });
  assert.equal(wrong.status, 400);
});
