// Somebody's project, fetched as it is published, tested from its dirty tree in containers of a second worker:
// what the edit broke stands by its name, file and message in the terminal and on the page.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { cli, type RunningCli, startCli } from "../cli/rig.js";
import { type BossProcess, startBossProcess } from "../rig/boss-process.js";
import { noDocker } from "../rig/docker.js";
import { npmProject } from "../rig/npm-project.js";
import { noBrowser, openPage } from "../ui/browser.js";

const missing = noDocker() || noBrowser;
const project = missing || npmProject("@fastify/error@4.2.1");
const scratch = mkdtempSync(join(tmpdir(), "bettertest-real-"));

after(() => {
  rmSync(scratch, { recursive: true, force: true });
  if (typeof project === "object") project[Symbol.dispose]();
});

const command = "node --test --test-reporter=junit --test-reporter-destination=junit.xml";
const pipedef = (image: string) => `import { run, stage, workspace } from "bettertest";
stage("Unit", {
  node: () => run(${JSON.stringify(image)}, ${JSON.stringify(command)}, { source: workspace(), results: "junit.xml" }),
});
`;

const broken = "Should throw when error code has no message";
const edited = "Fastify error message must be there";

test("a project from npm, edited and not committed, on a second worker", {
  skip: typeof project === "string" && project,
}, async () => {
  assert.ok(typeof project === "object");
  const script = fileURLToPath(new URL("../../../scripts/node-image.mjs", import.meta.url));
  const image = execFileSync(process.execPath, [script], { encoding: "utf8" }).trim();
  const cwd = project.folder;
  mkdirSync(join(cwd, ".bettertest"));
  writeFileSync(join(cwd, ".bettertest/pipedef.ts"), pipedef(image));
  const worker = await startWorker(join(scratch, "worker"));
  const where = ["--worker", worker.url, "--data"];
  let boss: BossProcess | undefined;
  try {
    const green = await cli(["run", ...where, join(scratch, "green")], { cwd });
    assert.equal(green.exitCode, 0, green.stdout + green.stderr);

    const code = readFileSync(join(cwd, "index.js"), "utf8");
    const worse = code.replace("Fastify error message must not be empty", edited);
    assert.notEqual(worse, code);
    writeFileSync(join(cwd, "index.js"), worse);
    const red = await cli(["run", ...where, join(scratch, "red")], { cwd });
    assert.equal(red.exitCode, 1, red.stdout + red.stderr);
    for (const words of [
      /tests working tree at [0-9a-f]{7} \(main\), with changes/,
      /^1 failing test:\n\n +✗ Should throw when error code has no message\n +\S*test\/index\.test\.js:121 +in Unit\.node\n +Expected values to be strictly deep-equal:/m,
      /^ +npx bettertest run --only Unit\.node --data \S+ --worker /m,
    ])
      assert.match(red.stdout, words);

    boss = await startBossProcess([...where, join(scratch, "boss")], cwd);
    const run = await boss.finished(await boss.start());
    const [source] = run.sources ?? [];
    assert.ok(source?.kind === "workspace");
    assert.equal(source.commit, project.git("rev-parse", "HEAD"));
    assert.equal(source.dirty, true);
    await using opened = await openPage(`${boss.url}/runs/${run.id}/Unit/node`);
    const { page, errors } = opened;
    const tests = page.getByLabel("Tests");
    await tests.getByText("29 tests: 1 failed, 28 passed").waitFor();
    await tests.getByText(broken, { exact: true }).waitFor();
    await tests.getByText(/test\/index\.test\.js:121$/).waitFor();
    await tests.getByText(`+ message: '${edited}'`).first().waitFor();
    await page.goto(`${boss.url}/runs/${run.id}`);
    await page.locator(".run-tests").getByText(broken).waitFor();
    assert.deepEqual(errors, []);
    assert.equal(await boss.stop(), 0);
  } finally {
    await boss?.kill();
    await worker.stop();
  }
  assert.deepEqual(
    project
      .git("status", "--porcelain")
      .split("\n")
      .map((line) => line.trim()),
    ["M index.js", "?? .bettertest/"],
  );
});

async function startWorker(data: string): Promise<{ url: string; stop(): Promise<void> }> {
  const args = ["worker", "--port", "0", "--data", data, "--slots", "2", "--json"];
  const running: RunningCli = startCli(args);
  const said = await running.prints(/"type":"worker","url":"[^"]+"/);
  const [, url] = /"type":"worker","url":"([^"]+)"/.exec(said) ?? [];
  assert.ok(url);
  return {
    url,
    async stop() {
      running.child.kill("SIGTERM");
      await running.ended;
    },
  };
}
