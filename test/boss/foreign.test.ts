import assert from "node:assert/strict";
import { request } from "node:http";
import { test } from "node:test";
import { startRig } from "../rig/rig.js";

/** Not fetch: it does not let a Host be forged. */
function post(url: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: "POST", headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on("error", reject);
    sent.end('{"image":"any","command":"touch /tmp/owned"}');
  });
}

test("a foreign page can neither start a run nor have a worker run a command", async () => {
  await using rig = await startRig({
    files: {
      ".bettertest/pipedef.ts": `import { stage } from "bettertest"; stage("s", { t() {} });`,
    },
  });
  for (const headers of [{ origin: "http://evil.example" }, { host: "evil.example:9001" }]) {
    assert.equal(await post(`${rig.url}/api/runs`, headers as never), 403);
    assert.equal(await post(`${rig.url}/api/run`, headers as never), 403);
    assert.equal(await post(`${rig.worker.url}/run`, headers as never), 403);
  }
  assert.deepEqual(await rig.get("/api/runs"), []);
});
