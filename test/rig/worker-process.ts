// Entry of startWorkerProcess: prints the worker's address, then serves until it is killed.

import { once } from "node:events";
import type { Executor } from "../../src/worker/executors/executor.js";
import { startWorker } from "../../src/worker/main.js";

/** Its commands do nothing, and end at once when the parent process has sent its first message. */
function createGatedExecutor(): Executor {
  const opened = once(process, "message");
  return {
    name: "gated",
    isolated: false,
    async open({ command }) {
      return {
        id: `gated-${command}`,
        async run(sink) {
          await opened;
          await sink(Buffer.from(command));
          return { exitCode: 0, outOfMemory: false };
        },
        kill: () => true,
        async dispose() {},
      };
    },
    async close() {},
  };
}

const { executor, ...options } = JSON.parse(process.argv[2] ?? "{}");
const worker = await startWorker({
  port: 0,
  executor: executor === "gated" ? createGatedExecutor() : executor,
  ...options,
});
console.log(worker.url);
// A test run that is killed must not leave its workers behind.
process.on("disconnect", () => process.exit());
