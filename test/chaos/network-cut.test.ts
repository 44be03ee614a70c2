import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { noDocker } from "../rig/docker.js";
import { cutNetwork, faultsOfStory } from "./network-cut.js";

// A thirtieth of what `npm run chaos -- --cut` does.
describe("a cut network in mid-output", { skip: noDocker(), concurrency: true }, () => {
  for (const form of ["refused", "silent"] as const) {
    test(`${form}, shorter than the lease: resumed without a gap`, async () => {
      const options = { form, cutMs: 2_000, leaseMs: 20_000, printsForMs: 5_000 };
      assert.deepEqual(faultsOfStory(await cutNetwork(options), options), []);
    });
    test(`${form}, five times the lease: tried again, one verdict, nothing left`, async () => {
      const options = { form, cutMs: 10_000, leaseMs: 2_000, printsForMs: 5_000 };
      assert.deepEqual(faultsOfStory(await cutNetwork(options), options), []);
    });
  }
});
