// What is made for services by an engine that answers too late.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { connect } from "../../../src/worker/executors/docker-connect.js";
import type { EngineLife } from "../../../src/worker/executors/docker-link.js";
import { openWithServices } from "../../../src/worker/executors/docker-services.js";
import type { Sandbox } from "../../../src/worker/executors/executor.js";
import { Removals } from "../../../src/worker/executors/removals.js";
import { eventually } from "../../rig/worker.js";

const life: EngineLife = {
  during: (work) => work,
  isOver: false,
  throwIfOver() {},
  end() {},
  follow: () => ({
    signals: [],
    died: new Promise(() => {}),
    healthy: new Promise(() => {}),
    forget() {},
  }),
};

const sandbox: Sandbox = {
  id: "command",
  run: async () => ({ exitCode: 0, outOfMemory: false }),
  kill: () => false,
  dispose: async () => {},
};

/** Opens at an engine that takes its time for one thing; gives what was removed. */
async function openWhere(late: "/networks/create" | "/containers/create") {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-late-"));
  const path = join(folder, "docker.sock");
  const removed: string[] = [];
  const engine = createServer(async (request, response) => {
    const asked = (request.url ?? "").split("?")[0]!;
    request.resume();
    if (request.method === "DELETE") removed.push(asked);
    if (asked === late) await wait(500);
    const status = asked.endsWith("/create") ? 201 : 200;
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify({ Id: "made", Config: {} }));
  });
  engine.listen(path);
  await once(engine, "listening");
  const { docker } = connect(`unix://${path}`);
  const opening = openWithServices(
    { image: "any", command: "true", services: { db: { image: "any" } } },
    {
      signal: new AbortController().signal,
      progress: () => {},
      services: { output: () => () => undefined, died: () => {} },
    },
    async () => sandbox,
    {
      docker,
      owner: "me",
      life,
      removals: new Removals({
        remove: async (id) => void removed.push(`/containers/${id}`),
        log: () => {},
      }),
      imageId: async () => "image",
      log: () => {},
      answerWithinMs: 100,
    },
  );
  return {
    opening,
    removed,
    async [Symbol.asyncDispose]() {
      engine.closeAllConnections();
      await new Promise((resolve) => engine.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

for (const what of ["networks", "containers"] as const) {
  test(`of ${what} that an engine makes too late nothing is left`, async () => {
    await using late = await openWhere(`/${what}/create`);
    await assert.rejects(late.opening, /did not answer within 0\.1 s/);
    await eventually(() => late.removed.includes(`/${what}/made`));
  });
}
