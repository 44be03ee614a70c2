// What a task costs beside its command: the load of its pipedef, its interpreter, its boss.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Bench, interleaved, type Pair, spread } from "./measure.js";
import { commandMs, startBossStand, startStand, startWorkerStand, writePipedef } from "./stand.js";

const typescript = (body: string) => `import { run, stage } from "bettertest";\n${body}\n`;
const trivial = 'stage("unit").task("one", () => run("none", "true"));';

export const pipedefBench: Bench = {
  name: "pipedef",
  what: "load of a pipedef.ts until its first task is dispatched, cold and after a save",
  needs: [],

  async run({ rounds, folder }) {
    const startNode = () => commandMs(process.execPath, ["-e", "0"]);
    const path = writePipedef(folder, typescript(trivial));
    const probe = fileURLToPath(new URL("./cold-load.js", import.meta.url));
    const cold = async () => {
      const { stdout, stderr } = spawnSync(process.execPath, [probe, path], { encoding: "utf8" });
      if (!/^[\d.]+$/.test(stdout)) throw new Error(`cold load: ${stderr}`);
      return Number(stdout);
    };
    await using stand = await startStand({
      folder,
      executor: "process",
      pipedef: typescript(trivial),
    });
    await stand.run();
    let saves = 0;
    const saved = async () => {
      writePipedef(folder, typescript(`${trivial}\n// ${++saves}`));
      const startedAt = performance.now();
      const run = await stand.boss.start({});
      let ms = 0;
      for await (const { event } of stand.boss.events(run)) {
        if (event.type === "call-sent") ms ||= performance.now() - startedAt;
      }
      return ms;
    };
    const row = { unit: "ms", against: "node -e 0" };
    return [
      {
        ...row,
        what: "pipedef.ts to its first task, cold",
        target: { of: "measured", atMost: 150 },
        rounds: await interleaved(rounds, cold, startNode),
      },
      {
        ...row,
        what: "pipedef.ts to its first task, after a save",
        target: { of: "measured", atMost: 60 },
        rounds: await interleaved(rounds, saved, startNode),
      },
    ];
  },
};

export const pythonBench: Bench = {
  name: "python",
  what: "overhead of a Python task over its command",
  needs: ["python3"],

  async run({ rounds, quick, folder }) {
    const count = quick ? 5 : 30;
    const tasks = Array.from(
      { length: count },
      (_, n) => `    def task_${n}():\n        run("image", "true")`,
    );
    await using stand = await startStand({
      folder,
      file: "pipedef.py",
      executor: "process",
      args: ["--slots", "1"],
      pipedef: `from bettertest import Stage, run\n\nclass Unit(Stage):\n${tasks.join("\n")}\n`,
    });
    const overheadMs = async () => {
      const run = await stand.boss.start({});
      const overheads: number[] = [];
      let startedAt = 0;
      let callMs = 0;
      for await (const { event } of stand.boss.events(run)) {
        if (event.type === "attempt-started") startedAt = event.at;
        if (event.type === "call-finished") callMs = event.durationMs;
        if (event.type === "attempt-finished") overheads.push(event.at - startedAt - callMs);
      }
      return spread(overheads).median;
    };
    const fresh = () => commandMs("python3", ["-c", "import json"]);
    const pairs = await interleaved(rounds, overheadMs, fresh);
    return [
      {
        what: "Python: a task over its command",
        against: "a fresh python3",
        unit: "ms",
        target: { of: "measured", atMost: 15 },
        rounds: pairs,
      },
    ];
  },
};

export const memoryBench: Bench = {
  name: "memory",
  what: "memory of a boss with 10,000 tasks of 100 lines in history, and one live, and as many live",
  needs: [],

  async run({ rounds, quick, folder }) {
    const count = quick ? 200 : 10_000;
    // Tasks that run no command still want a slot each, and slots are the worker's.
    await using worker = await startWorkerStand(
      join(folder, "worker"),
      ["--slots", "16"],
      "process",
    );
    await using stand = await startBossStand(
      folder,
      typescript(
        `const unit = stage("unit");\nfor (let n = 0; n < ${count}; n++) unit.task("t" + n, () => { for (let line = 0; line < 100; line++) console.log("line " + line + " of task " + n); });`,
      ),
      worker,
    );
    const idle = stand.memoryBytes();
    const pair = (): Pair => ({
      measured: stand.memoryBytes() / 2 ** 20,
      baseline: idle / 2 ** 20,
    });
    /** So often, while tasks end. */
    const during = async (times: number, tasks: number, only?: readonly string[]) => {
      const run = await stand.boss.start(only ? { only: [...only] } : {});
      const pairs: Pair[] = [];
      let ended = 0;
      for await (const { event } of stand.boss.events(run)) {
        if (event.type !== "attempt-finished") continue;
        ended += 1;
        if (ended >= ((pairs.length + 1) * tasks) / times) pairs.push(pair());
      }
      return pairs;
    };
    await stand.run();
    const one: Pair[] = [];
    for (let round = 0; round < rounds; round++) one.push(...(await during(1, 1, ["unit.t0"])));
    const many = await during(rounds, count);
    const what = `memory of the boss, ${count} tasks of 100 lines in history`;
    const row = { unit: "MiB", target: { of: "measured", atMost: 250 } } as const;
    return [
      { ...row, what: `${what} and one live`, against: "the same, idle", rounds: one },
      {
        ...row,
        what: `${what} and as many live`,
        against: "the same, idle; the rounds are moments of the live run",
        rounds: many,
      },
    ];
  },
};
