// A boss to be killed: opens the pipedef in argv, starts the task T.task_a if there is one, and says on its
// stdout what comes.
import { openPythonHost } from "../../../runtime/host/python/host.js";

const say = (bytes: Uint8Array) => void process.stdout.write(bytes);
const host = await openPythonHost({
  pipedef: process.argv[2] ?? "",
  home: "process",
  env: {},
  memoryBytes: 512 * 2 ** 20,
  stallTimeoutMs: 60_000,
  onLoadOutput: say,
});
const loaded = await host.load();
if (!loaded.ok) throw new Error(loaded.problem.message);
await host.runTask(
  { stage: "T", task: "task_a", attempt: 1 },
  { write: say, call: () => new Promise(() => {}) },
  new AbortController().signal,
);
