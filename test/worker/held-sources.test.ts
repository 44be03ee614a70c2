// A tree that a command names stays as long as that command is not done with, and no longer.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, mock, test } from "node:test";
import { createStatCache } from "../../src/source/stat-cache.js";
import { bring, key } from "../rig/source-worker.js";
import {
  eventually,
  image,
  infoThat,
  startCommand,
  startTestWorker,
  type TestWorker,
} from "../rig/worker.js";

const scratch = mkdtempSync(join(tmpdir(), "bettertest-held-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
afterEach(() => mock.timers.reset());
let made = 0;

/** Of a store there is room for one of them. */
const maxSourceBytes = 100_000;

async function bringNew({ client }: TestWorker): Promise<{ tree: string; key: string }> {
  const root = mkdtempSync(join(scratch, "tree-"));
  writeFileSync(join(root, "file"), `${++made}`.padEnd(60_000));
  return { tree: (await bring(root, createStatCache(), client)).hash, key };
}

/** By the clock of the wall, which says how long ago a tree was used. */
function elevenMinutesLater(): void {
  const now = Date.now() + 11 * 60_000;
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now });
}

/** A command is told to have ended before all that it held is free. */
function untilThereIsRoom(worker: TestWorker): Promise<void> {
  elevenMinutesLater();
  return eventually(() =>
    bringNew(worker).then(
      () => true,
      () => false,
    ),
  );
}

test("a command that waits for longer than a tree is remembered finds its source", async () => {
  await using worker = await startTestWorker({ executor: "process", slots: 1, maxSourceBytes });
  const gate = join(scratch, "gate");
  const wait = `echo on; while [ ! -e ${gate} ]; do sleep 0.02; done`;
  const { ended } = await startCommand(worker.client, wait);
  const source = await bringNew(worker);
  const waiting = worker.execute("wc -c < file", { source });
  await infoThat(worker.client, ({ queued }) => queued === 1);
  elevenMinutesLater();
  await assert.rejects(bringNew(worker), /full of what is in use/);
  writeFileSync(gate, "");
  await ended;
  const { outcome, output } = await waiting;
  assert.deepEqual(outcome, { kind: "exited", exitCode: 0 });
  assert.equal(output.toString().trim(), "60000");
  await untilThereIsRoom(worker);
});

test("a command that fails for one of its trees holds none of the others", async () => {
  await using worker = await startTestWorker({ executor: "process", slots: 1, maxSourceBytes });
  const source = await bringNew(worker);
  const recipe = { context: ".", dockerfile: "Dockerfile" };
  const { outcome } = await worker.execute("true", {
    build: { ...recipe, source },
    services: { one: { image }, two: { image } },
    serviceBuilds: {
      one: { ...recipe, source },
      two: { ...recipe, source: { ...source, tree: "0".repeat(64) } },
    },
  });
  assert.equal(outcome.kind, "faulted");
  assert.match(outcome.message, /has no source tree 0000/);
  await untilThereIsRoom(worker);
});
