// A tree on its way to a worker that is far: whatever becomes of the line, no file stays open.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { outgoing } from "../../src/boss/run/outgoing-files.js";
import { contentsOf } from "../../src/source/manifest.js";
import { scan } from "../../src/source/scan.js";
import { createStatCache } from "../../src/source/stat-cache.js";
import { createWorkerClient } from "../../src/wire/worker-client.js";
import { by } from "../rig/source-worker.js";
import { eventually } from "../rig/worker.js";

const skip = process.platform !== "linux";

function openBelow(root: string): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(root) ? [path] : [];
    } catch {
      return [];
    }
  });
}

test("an upload that breaks closes the files it read", { skip }, async () => {
  const root = mkdtempSync(join(tmpdir(), "bettertest-upload-"));
  for (let at = 0; at < 4; at++) writeFileSync(join(root, `big-${at}`), randomBytes(4 * 2 ** 20));
  const found = await scan(root, createStatCache());
  const missing = [...contentsOf(found.manifest).keys()];
  let uploads = 0;
  const server = createServer((request, response) => {
    if (request.method === "PUT") {
      request.resume();
      response.end(JSON.stringify({ status: "lacking", missing }));
    } else {
      uploads += 1;
      request.once("data", () => request.socket.resetAndDestroy());
    }
  });
  server.listen(0);
  await once(server, "listening");
  // Not one of the names of this machine, so that what is sent is packed.
  const client = createWorkerClient(`http://0.0.0.0:${(server.address() as AddressInfo).port}`);
  try {
    await assert.rejects(client.sendTree(outgoing(root, found), by), /again and again/);
    assert.ok(uploads > 1);
    await eventually(() => openBelow(root).length === 0, 5_000);
  } finally {
    client.close();
    server.close();
    rmSync(root, { recursive: true });
  }
});
