import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { engineDefaults } from "../../src/boss/engine-options.js";
import { startBoss } from "../../src/boss/main.js";
import { startRig } from "../rig/rig.js";

const pipedef = `
import { Stage, run } from "bettertest";
const WORKER = "WORKER_URL";
export class TestUnit extends Stage {
  static task_models() { return run(WORKER, "any", "echo m1; echo m2"); }
  static task_utils() { return run(WORKER, "any", "echo u1; exit 1"); }
}
export class TestLater extends Stage {
  static task_more() { return run(WORKER, "any", "echo more"); }
}
`;

test("an older client reads the state, starts a run and follows it", async () => {
  await using rig = await startRig({ files: { ".bettertest/pipedef.ts": pipedef } });
  const stages = [
    { name: "TestUnit", tasks: ["task_models", "task_utils"] },
    { name: "TestLater", tasks: ["task_more"] },
  ];
  assert.deepEqual(await rig.get("/api/state"), { pipeline: { stages }, run: null });

  const { status, body } = await rig.post("/api/run");
  assert.equal(status, 200);
  assert.deepEqual(body, { run_id: 1 });

  const messages: [string, Record<string, unknown>][] = [];
  for await (const { event, data } of rig.sse("/api/run/1/events")) {
    messages.push([event, JSON.parse(data)]);
  }
  const [first] = messages;
  assert.equal(first?.[0], "state");
  assert.deepEqual(Object.keys(first![1]), ["run_id", "active", "stages"]);
  assert.equal(first![1].active, true);
  assert.deepEqual(messages.at(-1), ["run_done", {}]);

  // What the state did not hold yet came as lines; together they are the whole output.
  const text = (task: string) => {
    const state = first![1].stages as { tasks: { name: string; output: string }[] }[];
    const before = state.flatMap((stage) => stage.tasks).find((t) => t.name === task)!.output;
    const lines = messages
      .filter(([event, data]) => event === "task_output" && data.task === task)
      .map(([, data]) => `${data.line}\n`);
    return before + lines.join("");
  };
  assert.equal(text("task_models"), "m1\nm2\n");
  const result = (task: string) =>
    messages.find(([event, data]) => event === "task_result" && data.task === task)?.[1];
  assert.deepEqual(result("task_models"), {
    stage: "TestUnit",
    task: "task_models",
    passed: true,
    output: "m1\nm2\n",
  });
  assert.equal(result("task_utils")?.passed, false);
  assert.match(String(result("task_utils")?.output), /^u1\n/);

  const { run } = await rig.get<{ run: unknown }>("/api/state");
  const task = (name: string, state: string, output: string) => ({ name, state, output });
  const utils = String(result("task_utils")?.output);
  assert.deepEqual(run, {
    run_id: 1,
    active: false,
    stages: [
      {
        name: "TestUnit",
        tasks: [task("task_models", "Pass", "m1\nm2\n"), task("task_utils", "Fail", utils)],
      },
      { name: "TestLater", tasks: [task("task_more", "Pending", "")] },
    ],
  });
});

test("an older client that asks while the boss still loads gets the stages", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-loading-"));
  writeFileSync(
    join(folder, "pipedef.ts"),
    'import { stage } from "bettertest"; stage("one", { a: () => {} });',
  );
  const boss = await startBoss({
    ...engineDefaults,
    host: "127.0.0.1",
    port: 0,
    version: "0.0.0-test",
    pipedefs: [join(folder, "pipedef.ts")],
    workers: [],
    log: () => {},
  });
  try {
    const state = await (await fetch(`${boss.url}/api/state`)).json();
    assert.deepEqual(state, { pipeline: { stages: [{ name: "one", tasks: ["a"] }] }, run: null });
  } finally {
    await boss.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a large run is told in pieces, to one that does not read too", async () => {
  const pipedef = `
import { Stage, run } from "bettertest";
export class TestLarge extends Stage {
  ${Array.from({ length: 20 }, (_, at) => `static task_${at}() { return run("WORKER_URL", "any", "yes 'é\\"${at}' | head -c 3000000"); }`).join("\n")}
}`;
  await using rig = await startRig({ files: { ".bettertest/pipedef.ts": pipedef } });
  await rig.run();
  const before = process.memoryUsage().rss;
  const stopped = Array.from({ length: 20 }, async () => {
    const { body } = await fetch(`${rig.url}/api/state`);
    return body!.getReader();
  });
  const readers = await Promise.all(stopped);
  await Promise.all(readers.map((reader) => reader.read()));
  // All of it, 20 times, are 1,200 MB.
  assert.ok(process.memoryUsage().rss - before < 300e6);
  await Promise.all(readers.map((reader) => reader.cancel()));

  // Whole characters, wherever the pieces were cut.
  const { run } = await rig.get<{ run: { stages: { tasks: { output: string }[] }[] } }>(
    "/api/state",
  );
  const line = (at: number) => `é"${at}\n`;
  const whole = (at: number) => {
    const size = Buffer.byteLength(line(at));
    const bytes = Buffer.from(line(at).repeat(Math.ceil(3_000_000 / size)));
    return bytes.subarray(0, 3_000_000).toString();
  };
  for (const [at, { output }] of run.stages[0]!.tasks.entries())
    assert.ok(output === whole(at), `task ${at}: ${output.slice(-30)}`);
});
