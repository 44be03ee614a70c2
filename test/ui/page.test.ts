// The page as people meet it: a real browser, boss and worker.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { Page } from "playwright-core";
import { engineDefaults } from "../../src/boss/engine-options.js";
import { startBoss } from "../../src/boss/main.js";
import { startRig } from "../rig/rig.js";
import { noBrowser, openPage } from "./browser.js";

type Stages = Record<string, Record<string, string>>;

/** A pipedef whose tasks run one command each. */
function pipedefOf(stages: Stages): string {
  const calls = Object.entries(stages).map(([name, tasks]) => {
    const lines = Object.entries(tasks).map(
      ([task, command]) =>
        `${JSON.stringify(task)}: () => run("WORKER_URL", "any", ${JSON.stringify(command)})`,
    );
    return `stage(${JSON.stringify(name)}, {\n${lines.join(",\n")}\n});`;
  });
  return ['import { run, stage } from "bettertest";', ...calls, ""].join("\n");
}

const pipedefPath = ".bettertest/pipedef.ts";

function startWith(stages: Stages, options: { watch?: boolean; slots?: number } = {}) {
  return startRig({ files: { [pipedefPath]: pipedefOf(stages) }, slots: 4, ...options });
}

/** A task that waits for a gate ends when the test says so. */
function makeGate() {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-gate-"));
  const path = join(folder, "open");
  return {
    wait: `while [ ! -e ${path} ]; do sleep 0.02; done`,
    open: () => writeFileSync(path, ""),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}

const task = (page: Page, name: string, status: string) =>
  page.locator(`[data-task="${name}"][data-status="${status}"]`);
const run = (page: Page, status: string) => page.locator(`h1 [data-status="${status}"]`);
const output = (page: Page) => page.locator(".out-rows");

describe("the page", { skip: noBrowser }, () => {
  test("stages before any run, then a run live, its red task and why, and rerun", async () => {
    using gate = makeGate();
    await using rig = await startWith({
      Unit: {
        green: "echo fine",
        gated: `echo before the gate; ${gate.wait}; echo behind the gate`,
        red: "echo oops; exit 3",
      },
      Ship: { ship: "echo shipped" },
    });
    await using opened = await openPage(rig.url);
    const { page, errors } = opened;

    await page.getByRole("heading", { name: "Unit" }).waitFor();
    await page.getByText("ship", { exact: true }).waitFor();
    await page.getByText("None yet.").waitFor();

    await page.getByRole("button", { name: "Run", exact: true }).click();
    await task(page, "gated", "running").waitFor();
    await task(page, "ship", "waiting").waitFor();
    await run(page, "running").waitFor();

    // What is printed is there while the task still runs.
    await page.getByRole("link", { name: "gated" }).click();
    await output(page).getByText("before the gate").waitFor();
    assert.equal(await task(page, "gated", "running").count(), 1);
    assert.doesNotMatch((await output(page).textContent()) ?? "", /behind the gate/);
    gate.open();
    await output(page).getByText("behind the gate").waitFor();
    await task(page, "gated", "passed").waitFor();

    // Red in color, in words, with its reason; the green one differs in each.
    await run(page, "failed").waitFor();
    await task(page, "red", "failed").getByText("exit code 3", { exact: true }).waitFor();
    const colors = await page.evaluate(
      `["red", "green"].map((name) => getComputedStyle(
        document.querySelector('[data-task="' + name + '"] .task-status')).color)`,
    );
    assert.deepEqual(colors, ["rgb(192, 38, 34)", "rgb(20, 112, 63)"]);
    await task(page, "ship", "skipped").waitFor();

    await page.getByRole("button", { name: "Rerun failed" }).click();
    await page.getByRole("heading", { name: /Run 2/ }).waitFor();
    await run(page, "failed").waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("h");
    await page.getByRole("navigation").getByText("#1").waitFor();
    assert.deepEqual(errors, []);
  });

  test("a link to a run shows the task that turned red first, with its output", async () => {
    await using rig = await startWith({
      Unit: { green: "echo fine", red: "echo it broke; exit 1" },
    });
    await rig.run();
    await using opened = await openPage(`${rig.url}/runs/1`);
    await output(opened.page).getByText("it broke").waitFor();
    // The link to a line of it names the task, although the address left that to the page.
    const number = output(opened.page).locator(".out-number").first();
    assert.equal(await number.getAttribute("href"), "/runs/1/Unit/red?attempt=1#L1");
    await opened.page.goto(`${rig.url}/runs/7`);
    await opened.page.getByText("Run 7 cannot be shown").waitFor();
  });

  test("a saved pipedef changes the page without a reload; a broken one says where", async () => {
    await using rig = await startWith({ Old: { one: "true" } }, { watch: true });
    await using opened = await openPage(rig.url);
    const { page } = opened;
    await page.getByRole("heading", { name: "Old" }).waitFor();
    await page.evaluate(() => Object.assign(globalThis, { sameDocument: true }));

    rig.write(pipedefPath, pipedefOf({ Fresh: { two: "true" } }));
    await page.getByRole("heading", { name: "Fresh" }).waitFor();
    assert.equal(await page.getByRole("heading", { name: "Old" }).count(), 0);

    rig.write(pipedefPath, 'import { stage } from "bettertest";\nstage("Fresh", {;\n');
    await page.getByRole("alert").getByText("pipedef.ts:2:").waitFor();
    await page.getByRole("heading", { name: "Fresh" }).waitFor();

    rig.write(pipedefPath, pipedefOf({ Mended: { three: "true" } }));
    await page.getByRole("heading", { name: "Mended" }).waitFor();
    assert.equal(await page.getByRole("alert").count(), 0);
    assert.equal(await page.evaluate(() => "sameDocument" in globalThis), true);
  });

  test("markup and scripts in output and names are text", async () => {
    const attack = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>';
    await using rig = await startWith({
      [`stage ${attack}`]: {
        [`task ${attack}`]: `echo '${attack}'; printf '\\033[31mred\\033[0m\\n'; exit 1`,
      },
    });
    await rig.run();
    await using opened = await openPage(`${rig.url}/runs/1`);
    const { page, errors } = opened;
    await output(page).waitFor();
    await output(page).getByText("red").waitFor();
    assert.deepEqual(await output(page).locator(".out-text").allTextContents(), [attack, "red"]);
    await page.goto(`${rig.url}/`);
    await page.getByRole("button", { name: "Run", exact: true }).waitFor();
    assert.equal(await page.locator("img").count(), 0);
    assert.equal(await page.evaluate(() => "hacked" in globalThis), false);
    assert.deepEqual(errors, []);
  });

  test("cancel ends a running task, and the page says who asked", async () => {
    using gate = makeGate();
    await using rig = await startWith({ Unit: { endless: gate.wait }, Later: { later: "true" } });
    await using opened = await openPage(rig.url);
    const { page, errors } = opened;
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await task(page, "endless", "running").waitFor();
    // As Chrome on Android does it. The page must show the end all the same.
    await page.evaluate(`globalThis.Notification = class {
      static requestPermission = async () => "granted";
      constructor() { globalThis.hasThrown = true; throw new TypeError("Illegal constructor."); }
    }`);
    await page.getByRole("button", { name: "Notify" }).click();
    await page.getByRole("button", { name: "Will notify" }).waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    await run(page, "cancelled").waitFor();
    await task(page, "endless", "cancelled").waitFor();
    await page.getByText("cancelled by api").waitFor();
    assert.equal(await page.evaluate(() => "hasThrown" in globalThis), true);
    assert.deepEqual(errors, []);
  });

  test("says when the boss is gone, and shows a restarted boss as it is", async () => {
    await using rig = await startWith({ Unit: { one: "true" } });
    await rig.run();
    await using opened = await openPage(rig.url);
    const { page } = opened;
    await page.getByRole("navigation").getByText("#1").waitFor();

    await rig.boss.stop();
    await page.getByText("Connection lost, trying again").waitFor();

    rig.write(pipedefPath, pipedefOf({ Reborn: { one: "true" } }));
    const reborn = await startBoss({
      ...engineDefaults,
      host: "127.0.0.1",
      port: rig.boss.port,
      version: "0.0.0-test",
      pipedefs: [join(rig.folder, "repo")],
      workers: [rig.worker.url],
      log: () => {},
    });
    try {
      await page.getByRole("heading", { name: "Reborn" }).waitFor();
      assert.equal(await page.getByText("Connection lost").count(), 0);
      // Its history was in memory: a run that it does not know must not stay on the page.
      await page.getByText("None yet.").waitFor();
    } finally {
      await reborn.stop();
    }
  });
});
