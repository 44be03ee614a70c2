// A boss that is killed again and again in the middle of a run: the run goes on as if nothing had happened.
// What each command really did stands in a ledger of its own, outside of the system.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { eachTask } from "../../src/model/run.js";
import { tempRepo } from "../cli/rig.js";
import { type BossProcess, startBossProcess } from "../rig/boss-process.js";
import { eventually, startWorkerProcess, type WorkerProcess } from "../rig/worker.js";

const kills = Number(process.env.BETTERTEST_TEST_BOSS_KILLS ?? 5);
const tasksOfKind = Number(process.env.BETTERTEST_TEST_BOSS_TASKS ?? 5);
const kinds = ["sequence", "beside", "long", "own"] as const;

/** Each command notes in the ledger that it ran. `%` stands for the ledger's path. */
const typescript = `
  import { run, stage } from "bettertest";
  const note = (task, call) => "echo " + task + "/" + call + " >> %; ";
  const s = stage("s");
  for (let n = 0; n < ${tasksOfKind}; n++) {
    s.task("sequence" + n, async () => {
      console.log("begin " + n);
      for (let call = 1; call <= 4; call++) {
        const { output } = await run("any", note("sequence" + n, call) + "echo call " + call + "; sleep 0.3; echo called " + call);
        console.log("it said " + output.trim().split("\\n").join("+"));
      }
      console.log("end " + n);
    });
    s.task("beside" + n, async () => {
      console.log("begin");
      await Promise.all([1, 2, 3].map(async (call) => {
        await run("any", note("beside" + n, call) + "sleep 0." + call + "; echo call " + call);
        await run("any", note("beside" + n, call + 3) + "sleep 0.2; echo second " + call);
      }));
      console.log("end");
    });
    s.task("long" + n, async () => {
      await run("any", note("long" + n, 1) + "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); [ $((i % 100)) -eq 0 ] && sleep 0.05; done");
      console.log("done");
    });
    s.task("own" + n, async () => {
      for (let i = 0; i < 50; i++) { console.log("before " + i); await new Promise((r) => setTimeout(r, 5)); }
      await run("any", note("own" + n, 1) + "echo one").catch(() => {});
      for (let i = 0; i < 50; i++) { console.log("between " + i); await new Promise((r) => setTimeout(r, 10)); }
      await run("any", note("own" + n, 2) + "echo two; exit " + (n === 1 ? 3 : 0));
      console.log("after");
    });
  }`;

const python = `
import time
from concurrent.futures import ThreadPoolExecutor
from bettertest import Stage, run

def note(task, call):
    return "echo %s/%d >> %%; " % (task, call)

def sequence(n):
    print("begin %d" % n)
    for call in range(1, 5):
        run("WORKER", "any", note("sequence%d" % n, call) + "echo call %d; sleep 0.3; echo called %d" % (call, call))
        print("it said call %d+called %d" % (call, call))
    print("end %d" % n)

def beside(n):
    print("begin")
    def one(call):
        run("WORKER", "any", note("beside%d" % n, call) + "sleep 0.%d; echo call %d" % (call, call))
        run("WORKER", "any", note("beside%d" % n, call + 3) + "sleep 0.2; echo second %d" % call)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(one, [1, 2, 3]))
    print("end")

def long(n):
    run("WORKER", "any", note("long%d" % n, 1) + "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); [ $((i % 100)) -eq 0 ] && sleep 0.05; done")
    print("done")

def own(n):
    for i in range(50):
        print("before %d" % i); time.sleep(0.005)
    run("WORKER", "any", note("own%d" % n, 1) + "echo one")
    for i in range(50):
        print("between %d" % i); time.sleep(0.01)
    run("WORKER", "any", note("own%d" % n, 2) + "echo two; exit %d" % (3 if n == 1 else 0))
    print("after")

class s(Stage):
    pass

for n in range(COUNT):
    for kind in (sequence, beside, long, own):
        setattr(s, "task_%s%d" % (kind.__name__, n), staticmethod(lambda kind=kind, n=n: kind(n)))
`;

function expectedOutput(task: string): string {
  const n = Number(/\d+$/.exec(task)![0]);
  const lines = (count: number, line: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => line(i)).join("\n");
  switch (task.replace(/\d+$/, "")) {
    case "sequence": {
      const calls = [1, 2, 3, 4].map(
        (call) => `call ${call}\ncalled ${call}\nit said call ${call}+called ${call}`,
      );
      return `begin ${n}\n${calls.join("\n")}\nend ${n}\n`;
    }
    case "beside":
      return `begin\n${[1, 2, 3].map((call) => `call ${call}`).join("\n")}\n${[1, 2, 3].map((call) => `second ${call}`).join("\n")}\nend\n`;
    case "long":
      return `${lines(3000, (i) => `line ${i}`)}\ndone\n`;
    default:
      return `${lines(50, (i) => `before ${i}`)}\none\n${lines(50, (i) => `between ${i}`)}\ntwo\n${n === 1 ? "" : "after\n"}`;
  }
}

/** What commands beside each other print comes in any order. */
function comparable(task: string, output: string): string {
  const printed = output.replace(/^bettertest: exit code 3: .*\n/m, "");
  return task.startsWith("beside") ? printed.split("\n").sort().join("\n") : printed;
}

for (const [language, file, text] of [
  ["TypeScript", "pipedef.ts", typescript],
  ["Python", "pipedef.py", python],
] as const) {
  test(`${language}: a run of ${kinds.length * tasksOfKind} tasks, its boss killed ${kills} times`, async (t) => {
    await using worker = await startWorkerProcess({ executor: "process", slots: 6 });
    using repo = tempRepo({});
    const ledger = join(repo.folder, "ledger");
    repo.write(
      `.bettertest/${file}`,
      text
        .replaceAll("%;", `${ledger};`)
        .replaceAll(`%${ledger}`, ledger)
        .replaceAll("WORKER", worker.url)
        .replaceAll("COUNT", String(tasksOfKind)),
    );
    const args = ["--data", join(repo.folder, "data"), "--worker", worker.url];
    const start = () => startBossProcess(args, repo.folder);
    let boss = await start();
    const id = await boss.start();
    let killedUnderWay = 0;
    for (let kill = 0; kill < kills; kill++) {
      // Each time somewhere else: after so many events, and a moment.
      const before = (await seqOf(boss)) + 3 + ((kill * 7) % 11);
      await boss.sees(id, ({ seq }) => seq >= before).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, (kill * 37) % 200));
      if ((await boss.run(id)).finishedAt === null) killedUnderWay += 1;
      await boss.kill();
      boss = await start();
    }
    const run = await boss.finished(id);
    const notes = new Map<string, number>();
    for (const line of readFileSync(ledger, "utf8").trim().split("\n")) {
      notes.set(line, (notes.get(line) ?? 0) + 1);
    }
    let again = 0;
    for (const { ref, task } of eachTask(run)) {
      const isRed = ref.task.endsWith("own1");
      assert.equal(
        task.status,
        isRed ? "failed" : "passed",
        `${ref.task}: ${JSON.stringify(task)}`,
      );
      const name = ref.task.replace(/^task_/, "");
      const output = await boss.output(id, ref.stage, ref.task);
      assert.equal(comparable(name, output), comparable(name, expectedOutput(name)), name);
      again += task.attempts.length - 1;
      const calls = { sequence: 4, beside: 6, long: 1, own: 2 }[name.replace(/\d+$/, "")]!;
      for (let call = 1; call <= calls; call++) {
        const times = notes.get(`${name}/${call}`) ?? 0;
        assert.ok(times >= 1 && times <= task.attempts.length, `${name}/${call}: ${times} times`);
        notes.delete(`${name}/${call}`);
      }
      for (const { end } of task.attempts.slice(0, -1)) {
        assert.match(JSON.stringify(end), /the boss was killed in the middle/);
      }
    }
    assert.equal(notes.size, 0);
    t.diagnostic(`${kills} kills, ${killedUnderWay} of them under way, ${again} further attempts`);
    assert.ok(killedUnderWay >= 3);
    await eventually(async () => (await infoOf(worker)).running === 0);
    assert.equal(await boss.stop(), 0);
  });
}

async function seqOf(boss: BossProcess): Promise<number> {
  return ((await (await fetch(`${boss.url}/api/runs/1`)).json()) as { seq: number }).seq;
}

async function infoOf(worker: WorkerProcess): Promise<{ running: number }> {
  return (await (await fetch(`${worker.url}/info`)).json()) as { running: number };
}
