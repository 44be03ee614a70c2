// Runs a pipedef from a program: node run.js path/to/pipedef.ts [worker's URL]

import { openPipedef } from "bettertest/library";

const [path = ".bettertest/pipedef.ts", worker] = process.argv.slice(2);

const pipedef = await openPipedef(path, worker ? { workers: [worker] } : { executor: "process" });
for (const stage of pipedef.pipeline.stages) {
  console.log(`${stage.name}: ${stage.tasks.map((task) => task.name).join(", ")}`);
}

const run = pipedef.run();
for await (const { event } of run.events()) {
  if (event.type !== "attempt-finished") continue;
  console.log(`${event.stage}.${event.task} ${event.end.status}`);
}

const { verdict, tasks } = await run.result;
for (const { stage, task, failure } of tasks) {
  if (failure?.kind === "exit") console.log(`${stage}.${task} exited with ${failure.exitCode}`);
}
console.log(verdict);

await pipedef.close();
process.exitCode = verdict === "passed" ? 0 : 1;
