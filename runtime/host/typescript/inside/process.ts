// Where a child process begins.

import { Worker } from "node:worker_threads";
import { startHome } from "./home.js";
import { createProcessLink } from "./process-link.js";

// In a thread of its own, so that it sees the boss die also while this one is in an endless loop.
new Worker(new URL("./watchdog.js", import.meta.url), { env: {}, execArgv: [] }).unref();
startHome(createProcessLink());
