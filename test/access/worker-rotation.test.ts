import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { accessPaths } from "../../src/access/access-paths.js";
import { makeToken, readTokenFile, writePrivateFile } from "../../src/access/token-file.js";
import { openWorkerTokens } from "../../src/access/worker-tokens.js";
import { createWorkerClient } from "../../src/wire/worker-client.js";
import { startWorker } from "../../src/worker/main.js";
import { waitFor } from "../cli/rig.js";
import { bearer } from "../rig/guarded.js";
import { execute } from "../rig/worker.js";

test("a worker's token is replaced in the middle of a command: it goes on with the new one", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-rotation-"));
  const gate = join(folder, "gate");
  const file = join(folder, "tokens");
  const { workerToken } = accessPaths(folder);
  const worker = await startWorker({
    host: "0.0.0.0",
    port: 0,
    executor: "process",
    dataDir: folder,
    access: { folder },
  });
  const url = `http://127.0.0.1:${worker.port}`;
  const old = readTokenFile(workerToken);
  writePrivateFile(file, `${url} ${old}\n`, { replace: true });
  const tokens = openWorkerTokens({ file });
  const client = createWorkerClient(url, {
    leaseMs: 30_000,
    token: () => tokens.tokenFor(url, false),
  });
  try {
    const command = `echo first; touch ${gate}.started; until [ -e ${gate} ]; do sleep 0.1; done; echo last`;
    const running = execute(client, { image: "any", command });
    await waitFor(() => existsSync(`${gate}.started`));

    const fresh = makeToken();
    writePrivateFile(workerToken, `${fresh}\n`, { replace: true });
    await waitFor(
      async () => (await fetch(`${url}/info`, { headers: bearer(old) })).status !== 200,
    );
    // Late, not guessing: nobody is made to wait for that.
    for (let index = 0; index < 10; index++) {
      assert.equal((await fetch(`${url}/info`, { headers: bearer(old) })).status, 401);
    }
    writePrivateFile(file, `${url} ${fresh}\n`, { replace: true });
    writeFileSync(gate, "");
    const { outcome, output } = await running;
    assert.deepEqual(outcome, { kind: "exited", exitCode: 0 });
    assert.equal(output.toString(), "first\nlast\n");
  } finally {
    client.close();
    await worker.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
