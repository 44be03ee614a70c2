import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, openSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { suite, test } from "node:test";
import { pipedefOf, program, tempRepo, waitFor } from "./rig.js";

const skip = existsSync("/dev/full") ? false : "this system has no /dev/full";

/** What it writes there is refused as by a full disk. */
function startFull(args: readonly string[], cwd: string, full: readonly ("stdout" | "stderr")[]) {
  const disk = openSync("/dev/full", "w");
  const child = spawn(process.execPath, [program, ...args], {
    cwd,
    stdio: [
      "ignore",
      full.includes("stdout") ? disk : "pipe",
      full.includes("stderr") ? disk : "pipe",
    ],
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (more: string) => {
      text += more;
    });
  return { child, text: () => text, ended: once(child, "close").then(([code]) => code as number) };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function health(port: number): Promise<string | null> {
  return fetch(`http://127.0.0.1:${port}/health`).then(
    (response) => response.text(),
    () => null,
  );
}

suite("a disk that is full under the output", { skip }, () => {
  test("ends what was to print something with a sentence and 3", async () => {
    using repo = tempRepo({ ".bettertest/pipedef.ts": pipedefOf({ A: { a: "true" } }) });
    for (const args of [["--version"], ["run", "--executor", "process"]]) {
      const { ended, text } = startFull(args, repo.folder, ["stdout"]);
      assert.equal(await ended, 3, text());
      assert.equal(
        text(),
        "bettertest: the output cannot be written: ENOSPC: no space left on device, write\n",
      );
    }
  });

  test("ends nothing that serves", async () => {
    using repo = tempRepo({});
    const data = `${repo.folder}/data`;
    const port = await freePort();
    const args = ["worker", "--executor", "process", "--port", String(port), "--data", data];
    const blind = startFull(args, repo.folder, ["stdout", "stderr"]);
    await waitFor(async () => (await health(port)) === "ok\n");
    // What it says of its start was refused; were that its end, it would have begun by now.
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(await health(port), "ok\n");
    blind.child.kill("SIGTERM");
    assert.equal(await blind.ended, 0);
  });
});
