// In a process of its own: milliseconds from asking for a pipedef to the first command on its way.

import { openPipedef } from "../src/library.js";

const startedAt = performance.now();
const pipedef = await openPipedef(process.argv[2]!, { executor: "process" });
const run = pipedef.run();
for await (const { event } of run.events()) {
  if (event.type !== "call-sent") continue;
  process.stdout.write(String(performance.now() - startedAt));
  break;
}
await run.result;
await pipedef.close();
