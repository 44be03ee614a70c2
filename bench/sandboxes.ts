// What it costs to get a fresh sandbox, run a trivial command in it and see the result, against what people use today.

import { spawnSync } from "node:child_process";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createWorkerClient, type WorkerClient } from "../src/wire/worker-client.js";
import { type Bench, interleaved, type Pair, type Row, spread, timed } from "./measure.js";
import {
  commandCpuMs,
  commandMs,
  dockerRun,
  image,
  type Stand,
  startStand,
  startWorkerStand,
} from "./stand.js";

const trivial = "echo hi";
const atATime = 8;
const docker = "docker run --rm of the same command";

export const latencyBench: Bench = {
  name: "sandbox",
  what: "one trivial task: through a worker, warm and cold, and through boss, scheduler and store",
  needs: ["docker"],

  async run({ rounds, quick, folder }) {
    const tries = quick ? 2 : 6;
    const dockerMs = () => medianOf(quick ? 1 : 2, () => commandMs("docker", dockerRun(trivial)));
    const rows: Row[] = [];
    await dockerMs();
    {
      await using stand = await startWorkerStand(folder, ["--slots", "2", "--pool-max", "4"]);
      await using worker = connected(stand.url);
      await once(worker);
      const warm = async () => {
        await worker.expect([{ image, count: 4 }]);
        await settled(async () => (await worker.info()).ready, 4);
        return timed(() => once(worker));
      };
      rows.push({
        what: "trivial task through a worker over HTTP, pool warm",
        against: docker,
        unit: "ms",
        target: { of: "ratio", atMost: 0.03 },
        rounds: await interleaved(rounds, () => medianOf(tries, warm), dockerMs),
      });
    }
    {
      await using stand = await startWorkerStand(folder, ["--slots", "2", "--pool-max", "0"]);
      await using worker = connected(stand.url);
      await once(worker);
      const cold = async () => {
        // The one before may still be on its way out.
        await wait(restMs);
        return timed(() => once(worker));
      };
      rows.push({
        what: "the same, pool cold",
        against: docker,
        unit: "ms",
        target: { of: "ratio", atMost: 0.9 },
        rounds: await interleaved(rounds, () => medianOf(quick ? 1 : 3, cold), dockerMs),
      });
    }
    await using stand = await startStand({
      folder,
      executor: "docker",
      args: ["--slots", "2", "--pool-max", "4"],
      pipedef: pipedefOf({ one: 1 }),
    });
    await stand.run();
    const seen: RunTimes[] = [];
    const dockerTimes: number[] = [];
    await interleaved(
      rounds,
      async () => {
        const times: RunTimes[] = [];
        for (let n = 0; n < tries; n++) {
          await settled(() => readyOf(stand), 1);
          times.push(await runTimes(stand, "one"));
        }
        const median = (of: (each: RunTimes) => number) => spread(times.map(of)).median;
        return seen.push({
          taskMs: median(({ taskMs }) => taskMs),
          runMs: median(({ runMs }) => runMs),
        });
      },
      async () => dockerTimes.push(await dockerMs()),
    );
    const pairs = (of: (each: RunTimes) => number): Pair[] =>
      seen.map((each, index) => ({ measured: of(each), baseline: dockerTimes[index]! }));
    return [
      ...rows,
      {
        what: "the same through boss, scheduler and store, seen by an SSE reader",
        against: docker,
        unit: "ms",
        target: { of: "ratio", atMost: 0.05 },
        note: "From the start of its stage until the reader has the end of the task",
        rounds: pairs(({ taskMs }) => taskMs),
      },
      {
        what: "the same from asking for the run to its verdict",
        against: docker,
        unit: "ms",
        note: "With the load of the pipedef",
        rounds: pairs(({ runMs }) => runMs),
      },
    ];
  },
};

export const stageBench: Bench = {
  name: "stage",
  what: "200 trivial tasks in a stage, and a burst no larger than the pool",
  needs: ["docker"],

  async run({ rounds, quick, folder }) {
    const many = quick ? 16 : 200;
    const compared = quick ? 8 : 48;
    const poolMax = quick ? 4 : 32;
    await using stand = await startStand({
      folder,
      executor: "docker",
      args: ["--slots", String(atATime), "--pool-max", String(poolMax)],
      pipedef: pipedefOf({ many, burst: poolMax }),
    });
    let cpuMs = 0;
    const rate = async (name: string, count: number) => {
      await settled(() => readyOf(stand), poolMax);
      const before = stand.cpuMs();
      const { runMs } = await runTimes(stand, name);
      cpuMs = stand.cpuMs() - before;
      return count / (runMs / 1000);
    };
    const xargs = async (count: number) =>
      count / ((await timed(() => xargsDocker(count, atATime))) / 1000);
    await rate("many", many);

    const cpu: Pair[] = [];
    const stages: number[] = [];
    const loops: number[] = [];
    const commands: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const measured = async () => {
        stages.push(await rate("many", many));
        cpu.push({ measured: cpuMs / many, baseline: commandCpuMs("docker", dockerRun(trivial)) });
      };
      const all = [
        measured,
        async () => void loops.push(compared / (rawEngineMs(compared, atATime) / 1000)),
        async () => void commands.push(await xargs(compared)),
      ];
      for (const measure of round % 2 === 0 ? all : all.reverse()) await measure();
    }
    const pairs = (baselines: readonly number[]): Pair[] =>
      stages.map((measured, index) => ({ measured, baseline: baselines[index]! }));
    const what = `${many} trivial tasks in a stage`;
    const xargsRow = `xargs -P ${atATime} docker run --rm`;
    const note = `${atATime} at a time, ${poolMax} of them ready at the start; the baseline's rate is that of ${compared}`;
    return [
      {
        what: `${what}, against ${xargsRow}`,
        against: xargsRow,
        unit: "tasks/s",
        target: { of: "ratio", atLeast: 1.3 },
        note,
        rounds: pairs(commands),
      },
      {
        what: `${what}, against the engine's API alone`,
        against:
          "a loop that makes, attaches, starts, awaits and removes containers, and nothing else",
        unit: "tasks/s",
        target: { of: "ratio", atLeast: 0.95 },
        note,
        rounds: pairs(loops),
      },
      {
        what: `a burst of ${poolMax} trivial tasks, as many as are ready`,
        against: xargsRow,
        unit: "tasks/s",
        target: { of: "ratio", atLeast: 15 },
        note: "From asking for the run to its verdict, with the load of the pipedef",
        rounds: await interleaved(
          rounds,
          () => rate("burst", poolMax),
          () => xargs(poolMax),
        ),
      },
      {
        what: "CPU of boss and worker for 1,000 trivial tasks",
        against: "that of the docker run command itself",
        unit: "s",
        target: { of: "measured", atMost: 3 },
        note: `Of the stages of ${many} above, and without the engine's own`,
        rounds: cpu,
      },
    ];
  },
};

/** Stages with so many tasks each. */
function pipedefOf(stages: Readonly<Record<string, number>>): string {
  const parts = Object.entries(stages).map(
    ([name, count]) =>
      `const ${name} = stage("${name}");\nfor (let n = 0; n < ${count}; n++) ${name}.task("t" + n, () => run("${image}", "${trivial}"));`,
  );
  return ['import { run, stage } from "bettertest";', ...parts, ""].join("\n");
}

interface RunTimes {
  readonly taskMs: number;
  readonly runMs: number;
}

/** Of one stage alone, as a reader of the boss's events sees it. */
async function runTimes({ boss }: Stand, stage: string): Promise<RunTimes> {
  const askedAt = now();
  const run = await boss.start({ only: [stage] });
  let stageAt = 0;
  let taskMs = 0;
  for await (const { event } of boss.events(run)) {
    if (event.type === "stage-started") stageAt = event.at;
    if (event.type === "attempt-finished") taskMs = now() - stageAt;
    if (event.type === "run-finished" && event.verdict !== "passed") {
      throw new Error(`run ${run} ${event.verdict}: ${JSON.stringify(event.fault ?? "")}`);
    }
  }
  return { taskMs, runMs: now() - askedAt };
}

/** As the boss's clock, but not in whole milliseconds. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

export function connected(url: string): WorkerClient & AsyncDisposable {
  const client = createWorkerClient(url);
  return { ...client, [Symbol.asyncDispose]: async () => client.close() };
}

async function once(worker: WorkerClient): Promise<void> {
  let printed = "";
  const io = {
    output: (bytes: Uint8Array) => {
      printed += Buffer.from(bytes).toString();
      return undefined;
    },
    started: () => {},
  };
  const request = { image, command: trivial };
  const outcome = await worker.execute(request, io, new AbortController().signal);
  if (outcome.kind !== "exited" || outcome.exitCode !== 0 || printed !== "hi\n") {
    throw new Error(`the task printed "${printed}" and ended: ${JSON.stringify(outcome)}`);
  }
}

async function readyOf({ boss }: Stand): Promise<number> {
  const [worker] = await boss.workers();
  return worker?.info?.ready ?? 0;
}

const restMs = 250;
const longestWaitMs = 20_000;

/** So many are ready, and the used ones are gone. Goes on with fewer where no more come. */
export async function settled(ready: () => Promise<number>, wanted: number): Promise<void> {
  const startedAt = performance.now();
  while ((await ready()) < wanted && performance.now() - startedAt < longestWaitMs) await wait(20);
  await wait(restMs);
}

async function medianOf(times: number, measure: () => Promise<number>): Promise<number> {
  const all: number[] = [];
  for (let n = 0; n < times; n++) all.push(await measure());
  return spread(all).median;
}

function rawEngineMs(count: number, lanes: number): number {
  const script = fileURLToPath(new URL("./raw-engine.js", import.meta.url));
  const args = [script, String(count), String(lanes)];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (!/^[\d.]+$/.test(stdout)) throw new Error(`loop over the engine's API: ${stderr}`);
  return Number(stdout);
}

async function xargsDocker(count: number, lanes: number): Promise<void> {
  const command = `seq ${count} | xargs -P ${lanes} -I{} docker run --rm ${image} sh -c '${trivial}'`;
  await commandMs("sh", ["-c", command]);
}
