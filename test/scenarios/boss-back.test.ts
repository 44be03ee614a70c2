// What a boss that comes back finds changed: the pipedef edited, a run cancelled, its commands gone, code that
// does something else each time. And how it leaves when it is told to stop.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { findTask, type Run } from "../../src/model/run.js";
import { type TempRepo, tempRepo } from "../cli/rig.js";
import { type BossProcess, startBossProcess } from "../rig/boss-process.js";
import { eventually, startWorkerProcess, type WorkerProcess } from "../rig/worker.js";

interface Scene {
  readonly repo: TempRepo;
  readonly worker: WorkerProcess;
  readonly ledger: () => string[];
  start(...args: string[]): Promise<BossProcess>;
}

async function scene(
  files: Readonly<Record<string, string>>,
  play: (scene: Scene) => Promise<void>,
): Promise<void> {
  await using worker = await startWorkerProcess({ executor: "process", slots: 4 });
  using repo = tempRepo({});
  const ledger = join(repo.folder, "ledger");
  for (const [path, text] of Object.entries(files)) {
    repo.write(path, text.replaceAll("LEDGER", ledger).replaceAll("WORKER", worker.url));
  }
  const bosses: BossProcess[] = [];
  try {
    await play({
      repo,
      worker,
      ledger: () => (existsSync(ledger) ? readFileSync(ledger, "utf8").trim().split("\n") : []),
      async start(...args) {
        const data = ["--data", join(repo.folder, "data"), "--worker", worker.url];
        const boss = await startBossProcess([...data, ...args], repo.folder);
        bosses.push(boss);
        return boss;
      },
    });
  } finally {
    for (const boss of bosses) await boss.kill();
  }
}

const started = ({ event }: { event: { type: string } }) => event.type === "call-started";

function endsOf(run: Run, task: string): (string | undefined)[] {
  return findTask(run, { stage: "s", task })!.attempts.map(({ end }) => end?.status);
}

async function running(worker: WorkerProcess): Promise<number> {
  const info = (await (await fetch(`${worker.url}/info`)).json()) as { running: number };
  return info.running;
}

const slow = "echo begun; while [ ! -e LEDGER.go ]; do sleep 0.05; done; echo ended";

for (const [language, files, edited] of [
  [
    "TypeScript",
    {
      ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
        import { word } from "./words.js";
        import data from "./data.json" with { type: "json" };
        import old from "./old.cjs";
        stage("s", { async t() {
          console.log(word, data.n, old.n);
          await run("any", "${slow}");
          console.log(word, data.n, old.n);
          await run("any", "echo " + word + data.n + old.n);
        } });`,
      ".bettertest/words.ts": 'export const word: string = "first";',
      ".bettertest/data.json": '{ "n": 1 }',
      ".bettertest/old.cjs": "module.exports = { n: 1 };",
    },
    "first 1 1\nbegun\nended\nfirst 1 1\nfirst11\n",
  ],
  [
    "Python",
    {
      ".bettertest/pipedef.py": `from bettertest import Stage, run
from words import word
class s(Stage):
    @staticmethod
    def task_t():
        print(word)
        run("WORKER", "any", "${slow}")
        print(word)
        run("WORKER", "any", "echo " + word)
`,
      ".bettertest/words.py": 'word = "first"\n',
    },
    "first\nbegun\nended\nfirst\nfirst\n",
  ],
] as const) {
  for (const how of ["edited", "deleted"]) {
    test(`${language}: a run keeps the files of its pipedef, ${how} while the boss is away`, () =>
      scene(files, async ({ repo, start }) => {
        const first = await start();
        const id = await first.start();
        await first.sees(id, started);
        await first.kill();
        for (const path of Object.keys(files)) {
          if (how === "deleted") rmSync(join(repo.folder, path));
          else if (path.endsWith(".json")) repo.write(path, '{ "n": 2 }');
          else
            repo.write(
              path,
              readFileSync(join(repo.folder, path), "utf8")
                .replace(/first|n: 1/g, (found) => (found === "first" ? "second" : "n: 2"))
                .replace("await run", "await run('any', 'echo new'); await run"),
            );
        }
        if (how === "deleted")
          repo.write(
            ".bettertest/pipedef.ts",
            'import { run, stage } from "bettertest"; stage("other", { t: () => run("any", "true") });',
          );
        const second = await start();
        repo.write("ledger.go", "");
        const run = await second.finished(id);
        const task =
          findTask(run, { stage: "s", task: "t" }) ??
          findTask(run, { stage: "s", task: "task_t" })!;
        assert.deepEqual(
          task.attempts.map(({ end }) => end?.status),
          ["passed"],
          JSON.stringify(run),
        );
        assert.equal(await second.output(id, "s", task.name), edited);
        assert.ok(!readdirSync(join(repo.folder, "data/outputs/1")).includes("pipedef.json"));
      }));
  }
}

const pipedef = (task: string) => ({
  ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
    const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    stage("s", { async t() { ${task} } });`,
});

test("code that makes another call than before: a new attempt, which says why", () =>
  scene(
    pipedef(`
      await run("any", "echo one >> LEDGER");
      await run("any", "echo " + Math.random() + "; ${slow}");`),
    async ({ repo, worker, ledger, start }) => {
      const first = await start();
      const id = await first.start();
      await first.sees(id, ({ event }) => event.type === "call-started" && event.call === 2);
      await first.kill();
      const second = await start();
      await second.sees(id, ({ event }) => event.type === "attempt-started" && event.attempt === 2);
      repo.write("ledger.go", "");
      const run = await second.finished(id);
      assert.deepEqual(endsOf(run, "t"), ["errored", "passed"]);
      assert.match(
        JSON.stringify(run),
        /cannot be brought back: it made another call instead of its call 2/,
      );
      assert.deepEqual(ledger(), ["one", "one"]);
      assert.equal(await running(worker), 0);
    },
  ));

test("other secrets since: what runs is run again, and what it prints of the old ones nobody sees", () =>
  scene(
    pipedef(
      `await run("any", "echo $WORD >> LEDGER; ${slow}; echo printed $WORD", { secrets: ["WORD"] });`,
    ),
    async ({ repo, ledger, start, worker }) => {
      const file = join(repo.folder, "secrets");
      const write = (word: string) => writeFileSync(file, `WORD=${word}\n`, { mode: 0o600 });
      write("old-and-valid");
      const first = await start("--secrets-file", file);
      const id = await first.start();
      await first.sees(id, started);
      await eventually(() => ledger().length === 1);
      await first.kill();
      write("new-and-valid");
      const second = await start("--secrets-file", file);
      await eventually(() => ledger().length === 2);
      repo.write("ledger.go", "");
      const run = await second.finished(id);
      assert.deepEqual(endsOf(run, "t"), ["errored", "passed"]);
      assert.deepEqual(ledger(), ["old-and-valid", "new-and-valid"]);
      const outputs = await Promise.all([1, 2].map((n) => second.output(id, "s", "t", n)));
      assert.doesNotMatch(outputs.join("\n"), /valid/);
      assert.match(JSON.stringify(run), /the secrets are others since/);
      assert.equal(await running(worker), 0);
    },
  ));

test("cancelled, and killed before it had ended: cancelled at the next start, nothing left at the worker", () =>
  scene(pipedef(`await run("any", "${slow}");`), async ({ worker, repo, start }) => {
    const first = await start();
    const id = await first.start();
    await first.sees(id, started);
    // As a boss leaves it that is killed right after it was asked.
    await first.kill();
    const { default: Database } = await import("libsql");
    const database = new Database(join(repo.folder, "data/history.db"));
    const event = JSON.stringify({ type: "cancel-requested", at: Date.now(), by: "test" });
    const [last] = database.prepare("SELECT max(seq) AS seq FROM events").all() as {
      seq: number;
    }[];
    database
      .prepare("INSERT INTO events (seq, run, event) VALUES (?, ?, ?)")
      .run(last!.seq + 1, id, event);
    database.close();
    const second = await start();
    const run = await second.finished(id);
    assert.equal(run.status, "cancelled");
    assert.deepEqual(endsOf(run, "t"), ["cancelled"]);
    assert.equal(await running(worker), 0);
  }));

test("a boss that is away for longer than the lease: a new attempt, whatever --infra-retries is", () =>
  scene(
    pipedef(`console.log("hello"); await run("any", "echo one >> LEDGER; ${slow}");`),
    async ({ repo, worker, ledger, start }) => {
      const first = await start("--worker-lease", "1s", "--infra-retries", "0");
      const id = await first.start();
      await first.sees(id, started);
      await first.kill();
      await eventually(async () => (await running(worker)) === 0);
      repo.write("ledger.go", "");
      const second = await start("--worker-lease", "1s", "--infra-retries", "0");
      const run = await second.finished(id);
      assert.deepEqual(endsOf(run, "t"), ["errored", "passed"]);
      assert.match(JSON.stringify(run), /call 1 was lost while the boss was away/);
      assert.deepEqual(ledger(), ["one", "one"]);
      assert.equal(await second.output(id, "s", "t"), "hello\nbegun\nended\n");
    },
  ));

test("runs that waited for their turn start in their order", () =>
  scene(pipedef(`await run("any", "echo one >> LEDGER; ${slow}");`), async ({ repo, start }) => {
    const first = await start("--concurrent-runs", "1");
    const ids = [await first.start(), await first.start(), await first.start()];
    await first.sees(ids[0]!, started);
    await first.kill();
    const second = await start("--concurrent-runs", "1");
    repo.write("ledger.go", "");
    const runs = await Promise.all(ids.map((id) => second.finished(id)));
    assert.deepEqual(
      runs.map(({ status }) => status),
      ["passed", "passed", "passed"],
    );
    const times = runs.map(({ startedAt }) => startedAt!);
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
  }));

test("told to stop: what runs finishes within the grace, the rest is done at the next start", () =>
  scene(
    pipedef(`await run("any", "echo one >> LEDGER; ${slow}");`).valueOf() as Record<string, string>,
    async ({ repo, ledger, start }) => {
      const first = await start("--grace", "60s", "--concurrent-runs", "1");
      const [one, two] = [await first.start(), await first.start()];
      await first.sees(one, started);
      const stopping = first.stop();
      await first.cli.prints(/"type":"stopping"/);
      repo.write("ledger.go", "");
      assert.equal(await stopping, 0);
      assert.deepEqual(ledger(), ["one"]);
      const second = await start();
      assert.equal((await second.finished(two)).status, "passed");
      assert.equal((await second.run(one)).status, "passed");
      assert.deepEqual(ledger(), ["one", "one"]);
    },
  ));

test("told to stop: what does not finish is ended, and run again at the next start", () =>
  scene(pipedef(`await run("any", "${slow}");`), async ({ repo, worker, start }) => {
    const first = await start("--grace", "200ms");
    const id = await first.start();
    await first.sees(id, started);
    assert.equal(await first.stop(), 0);
    assert.equal(await running(worker), 0);
    repo.write("ledger.go", "");
    const second = await start("--infra-retries", "0");
    const run = await second.finished(id);
    assert.deepEqual(endsOf(run, "t"), ["errored", "passed"]);
    assert.match(JSON.stringify(run), /the boss was stopped/);
  }));
