import assert from "node:assert/strict";
import { test } from "node:test";
import { deferred, idle, image, startTestWorker } from "../rig/worker.js";

const MiB = 2 ** 20;
const bytes = 200 * MiB;
const command = `head -c ${bytes} /dev/zero`;

test("a reader that stands still costs no memory, and does not hold up the command", async () => {
  await using worker = await startTestWorker({ executor: "process", maxOutputBytes: 2 * bytes });
  const first = deferred<void>();
  const goOn = deferred<void>();
  let received = 0;
  const before = process.memoryUsage().rss;
  const ended = worker.client.execute(
    { image, command },
    {
      output(chunk) {
        received += chunk.length;
        first.resolve();
        return received === chunk.length ? goOn.promise : undefined;
      },
      started: () => {},
    },
    new AbortController().signal,
  );
  await first.promise;
  // The command ends while its reader stands still: the output waits in the worker's file.
  await idle(worker.client);
  const grownMiB = (process.memoryUsage().rss - before) / MiB;
  assert.ok(grownMiB < 100, `memory grew by ${grownMiB} MiB for ${bytes / MiB} MiB of output`);
  goOn.resolve();
  assert.deepEqual(await ended, { kind: "exited", exitCode: 0 });
  assert.equal(received, bytes);
});

test("a reader of POST /run that stands still costs no memory either, nor does a line without an end", async () => {
  await using worker = await startTestWorker({ executor: "process", maxOutputBytes: 2 * bytes });
  const before = process.memoryUsage().rss;
  const response = await fetch(`${worker.url}/run`, {
    method: "POST",
    body: JSON.stringify({ image, command: `${command} | tr '\\000' x; touch /dev/null` }),
  });
  const reader = response.body!.getReader();
  await reader.read();
  await idle(worker.client);
  const grownMiB = (process.memoryUsage().rss - before) / MiB;
  assert.ok(grownMiB < 100, `memory grew by ${grownMiB} MiB for ${bytes / MiB} MiB of output`);
  let received = 0;
  let tail = "";
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    received += chunk.value.length;
    tail = (tail + Buffer.from(chunk.value.subarray(-40)).toString()).slice(-40);
  }
  assert.ok(received > bytes && received < bytes + 10 * MiB, `${received}`);
  assert.match(tail, /x\n\nevent: done\ndata: 0\n\n$/);
});
