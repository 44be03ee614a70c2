// Entry of startWorkerProcess: prints the worker's address, then serves until it is killed.

import { startWorker } from "../../src/worker/main.js";

const worker = await startWorker({ port: 0, ...JSON.parse(process.argv[2] ?? "{}") });
console.log(worker.url);
