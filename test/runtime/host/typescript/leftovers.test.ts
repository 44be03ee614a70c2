// Nothing is left behind: no thread, process, zombie, timer, descriptor or listener.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { createHostPool } from "../../../../runtime/host/typescript/pool.js";
import { transformSource } from "../../../../runtime/host/typescript/transform.js";
import { homes, MiB, makeRepo, openTestHost } from "./rig.js";

const pipedef = `import { run, Stage } from "bettertest";
import { spawn } from "node:child_process";
const forever = () => new Promise(() => setInterval(() => {}, 1000));
export class A extends Stage {
  static async task_fine() { console.log("fine"); await run("img", "x"); }
  static task_leaves_children() { for (let i = 0; i < 3; i++) spawn("sleep", ["1000"], { detached: i === 0 }); }
  static task_loops() { for (;;); }
  static async task_tells_and_loops() {
    console.log("looping");
    await new Promise(setImmediate);
    for (;;);
  }
  static task_exits() { process.exit(1); }
  static task_rejects() { Promise.reject(new Error("x")); return forever(); }
  static task_dies() { (process as any).reallyExit(7); }
}
`;

/** Processes below this one, zombies included, as "pid state command". */
function processesBelow(parent = process.pid): string[] {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
        const [, name, state, ppid] = /^\d+ \((.*)\) (\S) (\d+)/s.exec(stat) ?? [];
        return [{ pid: Number(pid), name, state, ppid: Number(ppid) }];
      } catch {
        return [];
      }
    });
  const below = (pid: number): string[] =>
    all
      .filter(({ ppid }) => ppid === pid)
      .flatMap((one) => [`${one.pid} ${one.state} ${one.name}`, ...below(one.pid)]);
  return below(parent);
}

function threads(): number {
  return readdirSync("/proc/self/task").length;
}

function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

/** For the message of a failure. */
function openFiles(): string {
  return readdirSync("/proc/self/fd")
    .map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return "";
      }
    })
    .filter((path) => path.startsWith("/"))
    .join("\n");
}

/** The kernel removes what has ended in its own time. */
async function settlesAt(measure: () => number, atMost: number): Promise<number> {
  for (let i = 0; i < 500 && measure() > atMost; i += 1) await delay(20);
  return measure();
}

/** More of them by hand: BETTERTEST_LEFTOVER_RUNS=1000. */
const runs = Number(process.env.BETTERTEST_LEFTOVER_RUNS ?? 48);
const linux = process.platform === "linux";

for (const home of homes) {
  test(`nothing is left after many runs, in a ${home}`, {
    skip: !linux && "reads /proc",
  }, async () => {
    await using repo = await makeRepo({ "pipedef.ts": pipedef });
    const tasks = ["fine", "leaves_children", "exits", "rejects", "dies", "fine"];
    // esbuild's own process serves the boss for ever.
    await transformSource("x.ts", Buffer.from(""));

    const runMany = async (count: number) => {
      const pool = createHostPool();
      const runOne = async (index: number) => {
        await using opened = await openTestHost(
          repo.path("pipedef.ts"),
          { home, memoryBytes: 64 * MiB },
          pool,
        );
        await opened.load();
        await opened.run(`A.task_${tasks[index % tasks.length]}`);
      };
      for (let i = 0; i < count; i += 3) await Promise.all([0, 1, 2].map((n) => runOne(i + n)));
      await pool.close();
    };
    await runMany(6);
    const before = { processes: processesBelow(), descriptors: descriptors(), threads: threads() };
    await runMany(runs);
    const gained = () => processesBelow().filter((line) => !before.processes.includes(line));
    assert.equal(await settlesAt(() => gained().length, 0), 0, gained().join("\n"));
    const open = await settlesAt(descriptors, before.descriptors);
    assert.ok(open <= before.descriptors, `${open} of ${before.descriptors}:\n${openFiles()}`);
    assert.ok((await settlesAt(threads, before.threads)) <= before.threads);
  });

  test(`an endless loop is ended quickly, in a ${home}`, async () => {
    await using repo = await makeRepo({ "pipedef.ts": pipedef });
    const opened = await openTestHost(repo.path("pipedef.ts"), { home });
    await opened.load();
    const looping = opened.run("A.task_loops");
    await delay(200);
    const before = performance.now();
    await opened.host.close();
    await opened.host.close();
    assert.ok(performance.now() - before < 3000);
    void looping;
  });
}

test("a spare home is made when the one in use has ended, or has been in use for a while", async () => {
  await using repo = await makeRepo({ "pipedef.ts": pipedef });
  const patient = createHostPool({ afterMs: 3_600_000 });
  const first = await openTestHost(repo.path("pipedef.ts"), {}, patient);
  await first.load();
  assert.equal((await first.run("A.task_fine")).end.status, "passed");
  assert.equal(patient.spare, 0, "it would take processor time from the one in use");
  await first.host.close();
  assert.equal(await settlesAt(() => patient.spare, 1), 1);
  await patient.close();
  assert.equal(patient.spare, 0);

  const hasty = createHostPool({ afterMs: 1 });
  await using second = await openTestHost(repo.path("pipedef.ts"), {}, hasty);
  await second.load();
  assert.equal(await settlesAt(() => hasty.spare, 1), 1);
  await hasty.close();
});

test("beside a load without tasks the next home begins at once", async () => {
  await using repo = await makeRepo({ "pipedef.ts": pipedef });
  const pool = createHostPool({ afterMs: 3_600_000 });
  await using opened = await openTestHost(repo.path("pipedef.ts"), {}, pool.forLoads);
  assert.equal(pool.spare, 1);
  await opened.load();
  assert.equal(pool.spare, 1);
  await pool.close();
});

test("a spare home has tsx once a pipedef has needed it", async () => {
  const tells = `import { createRequire } from "node:module";
  stage("A", { tells() {
    console.log(Object.keys(createRequire(import.meta.url).cache).some((path) => path.includes("node_modules/tsx/")));
  } });`;
  await using repo = await makeRepo({
    "alone.ts": `import { stage } from "bettertest";\n${tells}`,
    "imports.ts": `import { stage } from "bettertest";\nimport "./other";\n${tells}`,
    "requires.cts":
      'const { stage } = require("bettertest");\nrequire("./other");\nstage("A", { tells() {} });',
    "other.ts": "export {};",
  });
  for (const needing of ["imports.ts", "requires.cts"]) {
    const pool = createHostPool({ afterMs: 3_600_000 });
    const toldBy = async (name: string) => {
      await using opened = await openTestHost(repo.path(name), {}, pool.forLoads);
      await opened.load();
      return (await opened.run("A.tells")).output.trim();
    };
    assert.equal(await toldBy("alone.ts"), "false");
    assert.equal(await toldBy("alone.ts"), "false");
    await toldBy(needing);
    assert.equal(await toldBy("alone.ts"), "true", "the one that waited beside that load");
    assert.equal(await toldBy("alone.ts"), "true", "one that began later");
    await pool.close();
  }
});

test("a spare home that dies while it waits is not handed out", {
  skip: !linux && "reads /proc",
}, async () => {
  await using repo = await makeRepo({ "pipedef.ts": pipedef });
  const pool = createHostPool({ afterMs: 0 });
  await using first = await openTestHost(repo.path("pipedef.ts"), { home: "process" }, pool);
  await first.load();
  const own = () =>
    readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" ");
  // Each leads a process group of its own; esbuild does not.
  const homesAlive = () =>
    own().filter((pid) => statusOf(Number(pid)).includes(`NSpgid:\t${pid}\n`));
  assert.equal(await settlesAt(() => homesAlive().length, 2), 2, "the home in use and the spare");
  process.kill(Math.max(...homesAlive().map(Number)), "SIGKILL");
  assert.equal(await settlesAt(() => homesAlive().length, 1), 1);
  await using second = await openTestHost(repo.path("pipedef.ts"), { home: "process" }, pool);
  await second.load();
  assert.equal((await second.run("A.task_fine")).end.status, "passed");
  await pool.close();
});

test("a child process ends with its boss, also in the middle of an endless loop", {
  skip: !linux && "reads /proc",
}, async () => {
  await using repo = await makeRepo({ "pipedef.ts": pipedef });
  const rig = new URL("./rig.js", import.meta.url).href;
  const boss = `
    import { openTestHost } from ${JSON.stringify(rig)};
    import { readdirSync, readFileSync } from "node:fs";
    const opened = await openTestHost(${JSON.stringify(repo.path("pipedef.ts"))}, { home: "process" });
    await opened.load();
    await new Promise((told) => {
      opened.run("A.task_tells_and_loops", { io: { write: () => void told() } });
    });
    const children = readFileSync("/proc/self/task/" + process.pid + "/children", "utf8").trim();
    process.stdout.write(children + "\\n", () => process.kill(process.pid, "SIGKILL"));
  `;
  const { stdout, signal } = spawnSync(process.execPath, ["--input-type=module", "-e", boss], {
    encoding: "utf8",
  });
  assert.equal(signal, "SIGKILL");
  const pids = stdout.trim().split(" ").map(Number);
  assert.ok(pids.length >= 1 && pids.every((pid) => pid > 1), stdout);
  const alive = () => pids.filter((pid) => /^State:\s+[^ZX]/m.test(statusOf(pid))).length;
  assert.equal(await settlesAt(alive, 0), 0);
});

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return "";
  }
}
