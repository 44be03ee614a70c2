import assert from "node:assert/strict";
import { test } from "node:test";
import { Heartbeat } from "../../../../runtime/host/typescript/heartbeat.js";

test("short tasks one after the other are one question", () => {
  let pings = 0;
  const heartbeat = new Heartbeat({
    timeoutMs: 60_000,
    ping: () => {
      pings += 1;
      heartbeat.pong();
    },
    excused: () => false,
    stalled: () => assert.fail("it has answered"),
  });
  for (let task = 0; task < 10; task++) {
    heartbeat.start();
    heartbeat.stop();
  }
  assert.equal(pings, 1);
});

test("a home that has just answered is asked again, and found out when it is silent then", async () => {
  let pings = 0;
  await new Promise<void>((stalled) => {
    const heartbeat = new Heartbeat({
      timeoutMs: 20,
      ping: () => {
        pings += 1;
        if (pings === 1) heartbeat.pong();
      },
      excused: () => false,
      stalled,
    });
    heartbeat.start();
    heartbeat.stop();
    heartbeat.start();
  });
  assert.equal(pings, 2);
});
