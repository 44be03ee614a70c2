import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { onSilence } from "../../src/lib/silence.js";

/** Two ends of a connection. */
async function openPair(): Promise<{ a: Socket; b: Socket } & Disposable> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const a = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [b]: Socket[] = await once(server, "connection");
  return {
    a,
    b: b!,
    [Symbol.dispose]() {
      for (const end of [a, b, server]) end && ("destroy" in end ? end.destroy() : end.close());
    },
  };
}

/** As a process that was stopped. */
function beAway(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test("who was away reads what came meanwhile before calling it silence", async () => {
  using pair = await openPair();
  let isSilent = false;
  const silence = onSilence(20, () => {
    isSilent = true;
  });
  const heard = once(pair.b, "data");
  pair.b.on("data", () => silence.broken());
  pair.a.write("x");
  beAway(100);
  await heard;
  assert.equal(isSilent, false);
  silence.stop();
});

test("nothing heard for so long is silence, also after something was", async () => {
  const startedAt = performance.now();
  await new Promise<void>((endured) => {
    const silence = onSilence(30, endured);
    setTimeout(() => silence.broken(), 10);
  });
  assert.ok(performance.now() - startedAt >= 38);
});

test("a stopped one calls nobody, not even where its time was up", async () => {
  let calls = 0;
  const silence = onSilence(1, () => {
    calls += 1;
  });
  beAway(10);
  await new Promise((resolve) => setImmediate(resolve));
  silence.stop();
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(calls, 0);
});
