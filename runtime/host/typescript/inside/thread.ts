// Where a thread begins.

import { parentPort, workerData } from "node:worker_threads";
import { startHome } from "./home.js";
import { createThreadLink, type ThreadData } from "./thread-link.js";

startHome(createThreadLink(workerData as ThreadData), {
  settled: () => parentPort?.postMessage("settled"),
});
