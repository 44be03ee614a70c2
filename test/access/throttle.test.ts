import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Throttle } from "../../src/access/throttle.js";

function tried(throttle: Throttle, address: string, times: number, now = 0): number {
  let waitMs = 0;
  for (let index = 0; index < times; index++) waitMs = throttle.failed(address, now);
  return waitMs;
}

describe("failed tries", () => {
  test("are free four times, then cost more each time, up to a minute", () => {
    const waits = [4, 5, 6, 7, 20].map((times) => tried(new Throttle(), "10.0.0.1", times));
    assert.deepEqual(waits, [0, 1000, 2000, 4000, 60_000]);
  });

  test("hold up their address alone, and there not who was in before", () => {
    const throttle = new Throttle();
    throttle.passed("10.0.0.1", "known", 0);
    tried(throttle, "10.0.0.1", 6);
    assert.equal(throttle.waitMs("10.0.0.1", null, 500), 1500);
    assert.equal(throttle.waitMs("10.0.0.1", "right but new here", 500), 1500);
    assert.equal(throttle.waitMs("10.0.0.1", "known", 500), 0);
    assert.equal(throttle.waitMs("10.0.0.2", null, 500), 0);
    assert.equal(throttle.waitMs("10.0.0.1", null, 2001), 0);
  });

  test("count for the whole /64 of an IPv6 address, however it is written", () => {
    const throttle = new Throttle();
    for (const last of [1, 2, 3, 4, 5]) throttle.failed(`2001:db8::${last}`, 0);
    assert.equal(throttle.waitMs("2001:db8:0:0:ffff::1", null, 0), 1000);
    assert.equal(throttle.waitMs("2001:db8:0:1::1", null, 0), 0);
  });

  test("from everywhere together are bounded too, for the rest of the minute", () => {
    const throttle = new Throttle();
    for (let index = 0; index < 300; index++)
      throttle.failed(`10.0.${index >> 8}.${index & 255}`, 0);
    assert.equal(throttle.waitMs("10.9.9.9", null, 20_000), 40_000);
    assert.equal(throttle.waitMs("10.9.9.9", null, 60_000), 0);
    assert.equal(throttle.waitMs("10.9.9.9", "a right one", 20_000), 0);
  });

  test("are forgotten after a quiet quarter of an hour", () => {
    const throttle = new Throttle();
    tried(throttle, "10.0.0.1", 10);
    assert.equal(throttle.failed("10.0.0.1", 16 * 60_000), 0);
  });
});
