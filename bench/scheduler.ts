// What it costs to start a task, however many there are: the real scheduler, event log and store; only the
// workers, the pipedef and the files of outputs are simulated.

import { setMaxListeners } from "node:events";
import { join } from "node:path";
import type { PipedefHost } from "../runtime/host/host.js";
import { EventLog } from "../src/boss/event-log.js";
import type { PrintedOutput } from "../src/boss/output/attempt-output.js";
import { Expectations } from "../src/boss/run/expectations.js";
import { executeRun } from "../src/boss/run/run-execution.js";
import { TaskSlots } from "../src/boss/run/task-slots.js";
import { noSecrets } from "../src/boss/secrets/secrets.js";
import { createMemoryStore } from "../src/boss/store/memory.js";
import { openSqliteStore } from "../src/boss/store/sqlite.js";
import type { Store } from "../src/boss/store/store.js";
import { Workers } from "../src/boss/workers.js";
import type { RunCreated, RunEvent } from "../src/model/events.js";
import type { Pipeline } from "../src/model/pipeline.js";
import type { Bench, Pair, Row, Target } from "./measure.js";
import { simulateFleet } from "./simulated-fleet.js";

export const schedulerBench: Bench = {
  name: "scheduler",
  what: "dispatches a second over 1,000 simulated workers, from 10 to 100,000 tasks",
  needs: [],

  async run({ rounds, quick, folder }) {
    const many = quick ? 10_000 : 100_000;
    const fleet = { workers: 1000, slots: 1 };
    await simulate({ tasks: 2000, ...fleet });
    const costs: Pair[] = [];
    const rates: Pair[] = [];
    const memory: Pair[] = [];
    const firsts: Pair[] = [];
    const durable: Pair[] = [];
    for (let round = 0; round < rounds; round++) {
      // A small one many times over, so that both take long enough to be measured.
      const small = await repeated(many / 10_000, () => simulate({ tasks: 1000, ...fleet }));
      const large = await simulate({ tasks: many, ...fleet });
      costs.push({ measured: large.usPerTask, baseline: small.usPerTask });
      rates.push({ measured: 1e6 / large.usPerTask, baseline: 1e6 / small.usPerTask });
      memory.push({ measured: large.bytesPerTask, baseline: small.bytesPerTask });
      const few = await simulate({ tasks: 10, ...fleet });
      const stage = await simulate({ tasks: 10_000, ...fleet });
      firsts.push({ measured: stage.firstMs, baseline: few.firstMs });
      const path = join(folder, `${round}.db`);
      const kept = await simulate({ tasks: 10_000, ...fleet, store: openSqliteStore(path) });
      durable.push({ measured: 1e6 / kept.usPerTask, baseline: 1e6 / stage.usPerTask });
    }
    const of = `${many.toLocaleString("en")} tasks`;
    return [
      row(`scheduler: cost of a task among ${of}`, "the same of 1,000 tasks", "us", costs, {
        of: "ratio",
        atMost: 1.5,
      }),
      row(`scheduler: dispatches a second, ${of}`, "the same of 1,000 tasks", "/s", rates, {
        of: "measured",
        atLeast: 20_000,
      }),
      row(`scheduler: memory a task, ${of}`, "the same of 1,000 tasks", "bytes", memory, {
        of: "ratio",
        atMost: 1.5,
      }),
      row("scheduler: a stage of 10,000 starts its first", "a stage of 10", "ms", firsts, {
        of: "measured",
        atMost: 50,
      }),
      row("scheduler: 10,000 tasks, durable history", "the same in memory", "/s", durable),
    ];
  },
};

function row(
  what: string,
  against: string,
  unit: string,
  rounds: readonly Pair[],
  target?: Target,
): Row {
  return { what, against, unit, rounds, ...(target && { target }) };
}

interface Simulation {
  readonly tasks: number;
  readonly workers: number;
  readonly slots: number;
  readonly store?: Store;
}

interface Simulated {
  /** Of processor time: what else the machine does must not count. */
  readonly usPerTask: number;
  readonly bytesPerTask: number;
  /** From the start of the stage to the first command at a worker, in real time. */
  readonly firstMs: number;
}

async function repeated(times: number, run: () => Promise<Simulated>): Promise<Simulated> {
  const all: Simulated[] = [];
  for (let n = 0; n < times; n++) all.push(await run());
  const mean = (of: (one: Simulated) => number) =>
    all.reduce((sum, one) => sum + of(one), 0) / times;
  return {
    usPerTask: mean((one) => one.usPerTask),
    bytesPerTask: mean((one) => one.bytesPerTask),
    firstMs: mean((one) => one.firstMs),
  };
}

export async function simulate({
  tasks,
  workers: workerCount,
  slots: slotsOfEach,
  store = createMemoryStore(),
}: Simulation): Promise<Simulated> {
  const fleet = simulateFleet({ workers: workerCount, slots: slotsOfEach });
  const pipeline = pipelineOf(tasks);
  const log = new EventLog(store);
  const slots = new TaskSlots(() => workers.slots());
  const workers = new Workers({
    own: fleet.urls,
    leaseMs: 60_000,
    connect: fleet.connect,
    onChange: () => slots.pump(),
  });
  const id = store.nextRunId();
  const created: RunCreated = {
    type: "run-created",
    at: 0,
    pipelineName: "simulated",
    pipedef: "/pipedef.ts",
    keepGoing: false,
    trigger: "bench",
  };
  log.append(id, created);
  let stageAt = 0;
  let firstAt = 0;
  const emit = (event: RunEvent) => {
    if (event.type === "stage-started") stageAt = performance.now();
    if (event.type === "call-started") firstAt ||= performance.now();
    log.append(id, noSecrets.maskTexts(event));
  };
  const never = new AbortController().signal;
  setMaxListeners(0, never);
  globalThis.gc?.();
  const heapBefore = process.memoryUsage().heapUsed;
  const cpuBefore = process.cpuUsage();
  const ended = executeRun(id, created, never, {
    emit,
    state: () => store.run(id)!,
    openHost: async () => simulatedHost(pipeline),
    keepSources: async () => {},
    forgetSources: async () => {},
    slots,
    usual: () => () => undefined,
    workers,
    expectations: new Expectations({ workers, lastEvents: () => [] }).ofRun("simulated"),
    past: null,
    infraRetries: 2,
    outputs: {
      open: () => noOutput,
      close: async () => ({ bytes: 0 }),
      path: () => "/none",
      services: {
        open: () => Promise.reject(new Error("no task has services")),
        close: async () => 0,
      },
    },
    sources: Object.assign(() => Promise.reject(new Error("no task asks for one")), {
      cacheScope: () => Promise.resolve("none"),
    }),
    builds: { origin: { run: id, at: created.at }, isOwn: () => true },
    maxArtifactBytes: 0,
    secrets: noSecrets,
    now: () => fleet.now(),
    stop: { begun: never, over: never },
  });
  await fleet.drive(ended);
  const { user, system } = process.cpuUsage(cpuBefore);
  globalThis.gc?.();
  const bytes = process.memoryUsage().heapUsed - heapBefore;
  const { status } = store.run(id)!;
  if (status !== "passed" || fleet.commands !== tasks) {
    throw new Error(`the simulated run ${status} after ${fleet.commands} of ${tasks} commands`);
  }
  workers.close();
  store.close();
  return {
    usPerTask: (user + system) / tasks,
    bytesPerTask: bytes / tasks,
    firstMs: firstAt - stageAt,
  };
}

function pipelineOf(tasks: number): Pipeline {
  return {
    stages: [
      {
        name: "test",
        always: false,
        tasks: Array.from({ length: tasks }, (_, n) => ({ name: `task ${n}` })),
      },
    ],
    warnings: [],
  };
}

/** Most tests take seconds, some minutes: log-normal, the same at each run. */
function durationMs(n: number): number {
  const uniform = (seed: number) => {
    const x = Math.sin(seed) * 43758.5453;
    return Math.max(1e-9, x - Math.floor(x));
  };
  const normal =
    Math.sqrt(-2 * Math.log(uniform(n + 1))) * Math.cos(2 * Math.PI * uniform(n + 0.5));
  return Math.round(3000 * Math.exp(1.2 * normal));
}

function simulatedHost(pipeline: Pipeline): PipedefHost {
  return {
    load: async () => ({ ok: true, pipeline, files: [] }),
    async runTask({ task }, io, signal) {
      const command = String(durationMs(Number(task.slice("task ".length))));
      await io.call({ call: 1, worker: null, request: { image: "none", command } }, signal);
      return { status: "passed" };
    },
    broken: new Promise(() => {}),
    close: async () => {},
  };
}

const noOutput: PrintedOutput = {
  hasGap: false,
  append: () => undefined,
  flush: async () => {},
  receivedFrom: () => 0,
  earlierEndOf: async () => null,
};
