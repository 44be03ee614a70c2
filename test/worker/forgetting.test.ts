// What has ended a worker may forget, and is told so of several at once.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { Connection } from "../../src/wire/connection.js";
import { Forgetting } from "../../src/wire/forgetting.js";
import { createWorkerClient } from "../../src/wire/worker-client.js";
import { createScriptedExecutor, eventually, image, startTestWorker } from "../rig/worker.js";

const io = { output: () => undefined, started: () => {} };
const never = new AbortController().signal;

test("a worker forgets all that has ended, at the latest when its client is closed", async () => {
  const executor = createScriptedExecutor();
  await using worker = await startTestWorker({ executor, slots: 4 });
  const client = createWorkerClient(worker.url);
  const ids = ["a", "b", "c"];
  const isKnown = async (id: string) =>
    (await fetch(`${worker.url}/executions/${id}/output`)).status === 200;
  const ended = ids.map((id) => client.execute({ image, command: "x" }, io, never, id));
  for (const _ of ids) (await executor.nextCommand()).exit(0);
  await Promise.all(ended);
  assert.deepEqual(await Promise.all(ids.map(isKnown)), [true, true, true]);
  client.close();
  await eventually(async () => !(await Promise.all(ids.map(isKnown))).includes(true));

  const another = createWorkerClient(worker.url);
  const alone = another.execute({ image, command: "x" }, io, never, "d");
  (await executor.nextCommand()).exit(0);
  await alone;
  await eventually(async () => !(await isKnown("d")));
  another.close();
});

test("several take one request; an older worker is told one by one", async () => {
  const asked: string[] = [];
  let isOld = false;
  const server = createServer(({ method, url = "" }, response) => {
    asked.push(`${method} ${url}`);
    response.writeHead(isOld && url.includes("?") ? 404 : 204).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const connection = new Connection(`http://127.0.0.1:${port}`);
  const forgetting = new Forgetting(connection);
  try {
    for (const id of ["a", "b"]) forgetting.add(id);
    await forgetting.flush();
    await forgetting.flush();
    forgetting.add("c");
    await forgetting.flush();
    assert.deepEqual(asked.splice(0), ["DELETE /executions?id=a&id=b", "DELETE /executions/c"]);

    isOld = true;
    for (const id of ["a", "b"]) forgetting.add(id);
    await forgetting.flush();
    assert.deepEqual(asked.sort(), [
      "DELETE /executions/a",
      "DELETE /executions/b",
      "DELETE /executions?id=a&id=b",
    ]);
  } finally {
    connection.close();
    server.close();
  }
});
