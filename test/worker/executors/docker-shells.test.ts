// Shells that are not as they should be, in containers that are not there.

import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { mock, test } from "node:test";
import { startContainer } from "../../../src/worker/executors/docker-container.js";
import { DeafShell, Shells } from "../../../src/worker/executors/docker-shells.js";
import { ExecutorFault } from "../../../src/worker/executors/executor.js";

type Given = Parameters<typeof startContainer>;

const never = new Promise<never>(() => {});
const silent = () => new Duplex({ read() {}, write: (_, __, taken) => taken() });
const turn = () => new Promise((resolve) => setImmediate(resolve));

async function makeWithSilentShell(stateOf: () => Promise<unknown>) {
  const news = { signals: [], died: never, healthy: never, forget() {} };
  const container = { id: "c".repeat(64) } as Given[0];
  const options = {
    api: { attach: async () => silent(), start: async () => {}, stateOf },
    life: { isOver: false, follow: () => news },
    removals: { remove: async () => {} },
    image: "deaf",
    place: null,
  };
  const shells = new Shells(() => {});
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const making = shells.find("its id", (shell) =>
      startContainer(container, { ...options, shell } as unknown as Given[1]),
    );
    const failing = making.then(
      () => assert.fail("it is no shell"),
      (error: unknown) => error,
    );
    // First what an answer may take, then what the engine's word may.
    for (const ms of [20_000, 30_000]) {
      await turn();
      mock.timers.tick(ms);
    }
    return { error: await failing, known: shells.known("its id") };
  } finally {
    mock.timers.reset();
  }
}

test("a shell that lives and says nothing is deaf, and no engine is lost", async () => {
  const { error, known } = await makeWithSilentShell(async () => ({ Running: true }));
  assert.ok(error instanceof DeafShell);
  assert.equal(known?.reads, false);
});

test("an engine that answers nothing says nothing of a shell either", async () => {
  const { error, known } = await makeWithSilentShell(() => never);
  assert.ok(error instanceof ExecutorFault && error.lost);
  assert.equal(known, undefined);
});
