// Sources on their way to a worker in another network, 50 ms away.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createStatCache } from "../../../src/source/stat-cache.js";
import { createWorkerClient } from "../../../src/wire/worker-client.js";
import { startDelayedLink } from "../../rig/delayed-link.js";
import { bring, by } from "../../rig/source-worker.js";

const roundTripMs = 50;
const entry = fileURLToPath(new URL("../../rig/far-worker.js", import.meta.url));
const namespaces = [...(process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"])];
namespaces.push("--net", "--mount");
const loopback = "PATH=$PATH:/sbin:/usr/sbin ip link set lo up";

function missing(): string | false {
  const { status } = spawnSync("unshare", [...namespaces, "sh", "-c", loopback]);
  return status === 0 ? false : "no network of its own can be made here (unshare, ip)";
}

async function startFarWorker() {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-far-"));
  const path = join(folder, "door");
  const script = `${loopback} && exec "$@"`;
  const program = [process.execPath, entry, path, join(folder, "store")];
  const child = spawn("unshare", [...namespaces, "sh", "-c", script, "sh", ...program], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const ended = once(child, "exit");
  await Promise.race([
    once(child, "message"),
    ended.then(() => Promise.reject(new Error("the far worker did not start"))),
  ]);
  const link = await startDelayedLink({ path }, roundTripMs);
  return {
    folder,
    link,
    url: `http://127.0.0.1:${link.port}`,
    async [Symbol.asyncDispose]() {
      await link[Symbol.asyncDispose]();
      child.disconnect();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function makeTree(root: string, files: number, bytes: number): void {
  for (let at = 0; at < files; at++) {
    mkdirSync(join(root, `d${at % 10}`), { recursive: true });
    writeFileSync(join(root, `d${at % 10}/f${at}`), randomBytes(bytes));
  }
}

suite("a worker in another network, 50 ms away", { skip: missing() }, () => {
  test("four round trips at most when one file of many has changed, two when the line is open", async () => {
    await using far = await startFarWorker();
    const root = join(far.folder, "repo");
    makeTree(root, 1_000, 200);
    const cache = createStatCache();
    const client = createWorkerClient(far.url);
    const first = await bring(root, cache, client);
    client.close();

    // As a program that was just started: nothing is connected yet.
    const again = createWorkerClient(far.url);
    const trips = async () => {
      appendFileSync(join(root, "d3/f3"), "edited");
      const before = far.link.roundTrips;
      const startedAt = performance.now();
      const { hash } = await bring(root, cache, again);
      assert.notEqual(hash, first.hash);
      const tookMs = performance.now() - startedAt;
      return { count: far.link.roundTrips - before, tookMs };
    };
    const cold = await trips();
    const warm = await trips();
    again.close();
    assert.ok(cold.count <= 4, `${cold.count} round trips`);
    assert.ok(warm.count <= 2, `${warm.count} round trips`);
    // It is a far one indeed.
    assert.ok(cold.tookMs >= cold.count * roundTripMs - 5, `${cold.tookMs} ms`);
  });

  test("a sync that is cut in the middle goes on, and what has come does not travel again", async () => {
    await using far = await startFarWorker();
    const root = join(far.folder, "repo");
    const bytes = 16 * 2 ** 20;
    makeTree(root, 512, bytes / 512);
    const client = createWorkerClient(far.url);
    far.link.cutAfter(bytes * 0.6);
    const { hash, manifest } = await bring(root, createStatCache(), client);
    const sent = far.link.bytesSent;
    assert.deepEqual(await client.readTree(hash, by), manifest);
    client.close();
    assert.ok(sent > bytes, `${sent} bytes`);
    // 1.6 times as much, had it begun anew; what was on its way is lost.
    assert.ok(sent < bytes * 1.45, `${sent / bytes} times as much as there is`);
  });
});
