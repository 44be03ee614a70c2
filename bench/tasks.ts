// What a task costs beside its command: the load of its pipedef, its interpreter, its boss.

import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Bench, interleaved, type Pair, type Row, spread } from "./measure.js";
import { commandMs, startStand, writePipedef } from "./stand.js";

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
  what: "memory of a boss with 10,000 tasks of 100 lines in history, and as many live",
  needs: [],

  async run({ rounds, quick, folder }) {
    const count = quick ? 200 : 10_000;
    mkdirSync(folder, { recursive: true });
    await using stand = await startStand({
      folder: join(folder),
      executor: "process",
      args: ["--slots", "16"],
      pipedef: typescript(
        `const unit = stage("unit");\nfor (let n = 0; n < ${count}; n++) unit.task("t" + n, () => { for (let line = 0; line < 100; line++) console.log("line " + line + " of task " + n); });`,
      ),
    });
    const idle = stand.memoryBytes();
    await stand.run();
    const run = await stand.boss.start({});
    const pairs: Pair[] = [];
    let ended = 0;
    for await (const { event } of stand.boss.events(run)) {
      if (event.type !== "attempt-finished") continue;
      ended += 1;
      if (ended >= ((pairs.length + 1) * count) / rounds) {
        pairs.push({ measured: stand.memoryBytes() / 2 ** 20, baseline: idle / 2 ** 20 });
      }
    }
    const row: Row = {
      what: `memory of boss and worker, ${count} tasks of 100 lines in history and as many live`,
      against: "the same, idle; the rounds are moments of the live run",
      unit: "MiB",
      target: { of: "measured", atMost: 250 },
      rounds: pairs,
    };
    return [row];
  },
};
