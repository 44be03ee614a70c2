// From a fresh clone to a verdict: installs, builds, starts boss and worker in this process, runs the
// example of examples/quickstart and serves the UI until Ctrl-C. `-- --exit` ends with the run's exit code.
//
// It is also an example of library use: what follows main() is all it takes to run a pipedef from a program.
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { ensureBaseImage } from "./base-image.mjs";
import { engineProblem, ensureDependencies, exitWith, root, step } from "./setup.mjs";

const pipedef = join(root, "examples/quickstart/.bettertest/pipedef.ts");
const preferredPorts = { boss: 9001, worker: 9009 };

try {
  await main();
} catch (error) {
  exitWith(error);
}

async function main() {
  const exitAfterRun = process.argv.includes("--exit");
  await ensureDependencies();
  await step("Building", async () => {
    const { build, buildTypes } = await import("./build.mjs");
    await build();
    // For `npx bettertest init` afterwards, which copies them.
    buildTypes();
  });
  const executor = await chooseExecutor();

  const interrupted = new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => resolve("interrupted"));
  });
  const cleanUps = [];
  try {
    const boss = await startBossAndWorker(executor, cleanUps);
    const run = await Promise.race([runExample(boss.engine), interrupted]);
    if (run === "interrupted") {
      process.exitCode = 130;
      return;
    }
    const { exitCodeOf } = await library("model/exit-code.js");
    process.exitCode = exitCodeOf(run.status);
    if (exitAfterRun) return;
    console.log(`\nThe page is at ${boss.url} (Ctrl-C ends it).`);
    console.log("For your own repo: npx bettertest init, then npx bettertest up");
    await interrupted;
    console.log("\nStopping.");
  } finally {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  }
}

async function runExample(engine) {
  await engine.pipelines.ready;
  const started = engine.start({ trigger: "quickstart" });
  if (!started.ok) throw new Error(`the run could not start: ${started.error}`);
  console.log("\nRunning examples/quickstart/.bettertest/pipedef.ts\n");
  await printEvents(engine, started.run);
  const run = await engine.finished(started.run);
  const took = ((run.finishedAt - run.startedAt) / 1000).toFixed(1);
  console.log(
    `\n${run.status.toUpperCase()} in ${took} s${run.fault ? `: ${run.fault.message}` : ""}`,
  );
  return run;
}

function library(file) {
  return import(new URL(`../dist/src/${file}`, import.meta.url).href);
}

async function chooseExecutor() {
  let problem = engineProblem();
  if (problem === null) {
    try {
      await step(
        "Docker answers; making the image bettertest-base",
        async () => void ensureBaseImage(),
      );
      return "docker";
    } catch (error) {
      problem = error.message;
    }
  }
  console.log(`Without Docker (${problem}):`);
  console.log(
    "using the process executor, which runs commands right on this machine, not isolated.",
  );
  return "process";
}

async function startBossAndWorker(executor, cleanUps) {
  const [{ startWorker }, { startBoss }, { engineDefaults }] = await Promise.all([
    library("worker/main.js"),
    library("boss/main.js"),
    library("boss/engine-options.js"),
  ]);
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const common = { host: "127.0.0.1", version, log: () => {} };

  const workerPort = await choosePort("worker");
  const worker = await startWorker({ ...common, port: workerPort, executor, slots: 4 });
  cleanUps.push(() => worker.stop());

  const boss = await startBoss({
    ...engineDefaults,
    ...common,
    port: await choosePort("boss"),
    pipedefs: [pipedef],
    workers: [worker.url],
    watch: true,
  });
  cleanUps.push(() => boss.stop({ graceMs: 0 }));
  return boss;
}

async function choosePort(role) {
  const wanted = preferredPorts[role];
  if (await isFree(wanted)) return wanted;
  console.log(`Port ${wanted} of the ${role} is taken; using a free one.`);
  return 0;
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.on("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** Prints what happens, from the same events that the page reads. */
async function printEvents(engine, id) {
  const { describeFailure, describeFault } = await library("model/failure.js");
  const describe = {
    passed: () => "✓ passed",
    failed: ({ failure }) => `✗ failed: ${describeFailure(failure)}`,
    errored: ({ fault }) => `! errored: ${describeFault(fault)}`,
    cancelled: () => "- cancelled",
  };
  const startedAt = new Map();
  const { signal } = new AbortController();
  for await (const { event } of engine.log.follow({ run: id, after: 0, signal })) {
    const label = `${event.stage}.${event.task}`;
    if (event.type === "stage-started") console.log(event.stage);
    if (event.type === "attempt-started") startedAt.set(label, event.at);
    if (event.type !== "attempt-finished") continue;
    const seconds = ((event.at - startedAt.get(label)) / 1000).toFixed(1);
    console.log(`  ${seconds} s  ${event.task}  ${describe[event.end.status](event.end)}`);
  }
}
