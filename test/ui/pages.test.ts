// Every page with real runs, for every reader: by axe, by keys alone, in both schemes, narrow and wide.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Page } from "playwright-core";
import { startProxy } from "../rig/proxy.js";
import { type Rig, startRig } from "../rig/rig.js";
import { noBrowser, openPage } from "./browser.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What a reading person could not use; empty where all is well. */
async function violations(page: Page): Promise<string[]> {
  // By the debugger, as the page's own policy allows no foreign script.
  await page.evaluate(axe);
  const found: string = await page.evaluate(`axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  }).then(({ violations }) => JSON.stringify(violations.map(
    ({ id, nodes }) => id + ": " + nodes.slice(0, 3).map(({ html }) => html).join(" | "))))`);
  return JSON.parse(found);
}

/** Asks again and again: the page's policy allows no waiting inside of it. */
async function until(page: Page, condition: string): Promise<void> {
  while (!(await page.evaluate(condition))) await new Promise((resolve) => setTimeout(resolve, 30));
}

const pipedef = `
import { run, stage } from "bettertest";
import { existsSync } from "node:fs";
stage("lint", { types: () => run("WORKER_URL", "any", "echo checked") });
stage("unit", {
  green: () => run("WORKER_URL", "any", "echo fine"),
  "red one": () => run("WORKER_URL", "any", "seq 1 300; echo 'AssertionError: 1 == 2'; seq 1 300; exit 1"),
  lost: () => run("http://127.0.0.1:1", "any", "true"),
}).task("flaky", () => run("WORKER_URL", "any", "if [ -e FLAG ]; then exit 0; fi; touch FLAG; exit 1"), { retries: 1 });
stage("ship", { ship: () => run("WORKER_URL", "any", "true") });
stage("endless", { waits: () => run("WORKER_URL", "any", "while true; do sleep 1; done") });
`;

describe("the pages", { skip: noBrowser }, () => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-pages-"));
  let rig: Rig;
  before(async () => {
    rig = await startRig({
      files: { ".bettertest/pipedef.ts": pipedef.replaceAll("FLAG", join(folder, "flag")) },
      slots: 2,
      workerLeaseMs: 500,
      infraRetries: 0,
    });
    await rig.run({ only: ["lint", "unit.green"] });
    await rig.run({ only: ["unit.lost"] });
    const cancelled = rig.boss.engine.start({ only: ["endless"], trigger: "test" });
    assert.ok(cancelled.ok);
    rig.boss.engine.cancel(cancelled.run, "test");
    await rig.boss.engine.finished(cancelled.run);
    await rig.run({ only: ["lint", "unit.green", "unit.red one", "unit.flaky", "ship"] });
    assert.ok(rig.boss.engine.start({ only: ["endless"], trigger: "test" }).ok);
  });
  after(async () => {
    await rig?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const places = [
    { path: "/", settled: "Last runs" },
    { path: "/runs/1", settled: "Run 1" },
    { path: "/runs/2", settled: "Run 2" },
    { path: "/runs/4/unit/flaky", settled: "Run 4" },
    { path: "/runs/3", settled: "Run 3" },
    { path: "/runs/4", settled: "Run 4" },
    { path: "/runs/5", settled: "Run 5" },
    { path: "/runs/99", settled: "cannot be shown" },
    { path: "/runs/4/timeline", settled: "What it waited for" },
    { path: "/history/repo", settled: "Tasks by runs" },
    { path: "/compare/1/4", settled: "Went red" },
    { path: "/workers", settled: "Workers" },
  ];

  for (const colorScheme of ["dark", "light"] as const) {
    test(`axe finds nothing on any page, ${colorScheme}`, async () => {
      await using opened = await openPage(rig.url, { colorScheme });
      const { page } = opened;
      const found: string[] = [];
      for (const { path, settled } of places) {
        await page.goto(rig.url + path);
        await page.getByText(settled).first().waitFor();
        // While a run loads, it is named already, without a heading.
        await page.locator("h1").first().waitFor({ state: "attached" });
        for (const problem of await violations(page)) found.push(`${path}: ${problem}`);
      }
      await page.keyboard.press("?");
      await page.getByRole("dialog").waitFor();
      for (const problem of await violations(page)) found.push(`keys: ${problem}`);
      await page.keyboard.press("Escape");
      await page.keyboard.press("Control+k");
      await page.getByRole("combobox").waitFor();
      for (const problem of await violations(page)) found.push(`palette: ${problem}`);
      assert.deepEqual(found, []);
      assert.deepEqual(
        opened.errors.filter((error) => !error.includes("404")),
        [],
      );
    });
  }

  test("axe finds nothing on a phone either", async () => {
    await using opened = await openPage(rig.url);
    const { page } = opened;
    await page.setViewportSize({ width: 360, height: 740 });
    const found: string[] = [];
    for (const { path, settled } of places) {
      await page.goto(rig.url + path);
      await page.getByText(settled).first().waitFor({ state: "attached" });
      await page.locator("h1").first().waitFor({ state: "attached" });
      for (const problem of await violations(page)) found.push(`${path}: ${problem}`);
    }
    assert.deepEqual(found, []);
  });

  test("nothing is wider than the window, from a phone to a wall", async () => {
    await using opened = await openPage(rig.url);
    const { page } = opened;
    const wide: string[] = [];
    for (const width of [360, 768, 3840]) {
      await page.setViewportSize({ width, height: 740 });
      for (const { path, settled } of places) {
        await page.goto(rig.url + path);
        await page.getByText(settled).first().waitFor({ state: "attached" });
        const excess = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
        const inMain = await page.evaluate(
          "(() => { const main = document.querySelector('main'); return main.scrollWidth - main.clientWidth; })()",
        );
        if (Number(excess) > 0 || Number(inMain) > 0)
          wide.push(`${path} at ${width}: ${excess}, ${inMain}`);
      }
    }
    assert.deepEqual(wide, []);
  });

  test("from the home page to the failing line in at most four keys", async () => {
    await using opened = await openPage(rig.url);
    const { page } = opened;
    await page.locator('[data-run="4"]').waitFor();
    const keys: string[] = [];
    const press = async (key: string) => {
      keys.push(key);
      await page.keyboard.press(key);
    };
    // Its red task is chosen already.
    await press("e");
    await page.getByRole("heading", { name: /Run 4/ }).waitFor();
    await page.locator(".pane").getByText("300", { exact: true }).first().waitFor();
    await press("e");
    await until(
      page,
      `(() => {
      const lines = [...document.querySelectorAll(".pane *")].filter(
        (element) => element.children.length === 0 && element.textContent.includes("AssertionError"));
      return lines.some((line) => {
        const box = line.getBoundingClientRect();
        return box.height > 0 && box.top >= 0 && box.bottom <= innerHeight;
      });
    })()`,
    );
    assert.ok(keys.length <= 4);
  });

  test("j, k and Enter walk through runs and tasks; g h leads home", async () => {
    await using opened = await openPage(rig.url);
    const { page } = opened;
    await page.locator('[data-run="1"]').waitFor();
    // The first is the one that runs now.
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: /Run 4/ }).waitFor();
    const before = "red one";
    await page.locator(`.task.is-shown[data-task="${before}"]`).waitFor();
    await page.keyboard.press("j");
    await until(
      page,
      `document.querySelector(".task.is-shown")?.dataset.task !== ${JSON.stringify(before)}`,
    );
    await page.keyboard.press("k");
    await page.locator(`.task.is-shown[data-task="${before}"]`).waitFor();
    // The dialog's Escape closes the dialog; only the next one leaves the task.
    await page.keyboard.press("?");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    assert.match(page.url(), /\/runs\/4\/unit\/red%20one/);
    await page.keyboard.press("Escape");
    assert.match(page.url(), /\/runs\/4$/);
    await page.keyboard.press("t");
    await page.getByText("What it waited for").waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("y");
    await page.getByText("Tasks by runs").waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("h");
    await page.getByText("Last runs").waitFor();
  });

  test("the focus goes where keys send it: to the content, into the output, over the heat map", async () => {
    await using opened = await openPage(`${rig.url}/runs/4/unit/red%20one#L5`);
    const { page } = opened;
    const focused = (selector: string) =>
      until(page, `document.activeElement.matches(${JSON.stringify(selector)})`);
    await page.locator('.out-row.is-chosen[data-line="5"]').waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await focused("#main");
    assert.equal(new URL(page.url()).hash, "#L5");
    await page.keyboard.press("Enter");
    await focused(".out-scroll");
    assert.equal(new URL(page.url()).hash, "#L5");
    const scrolled = () => page.locator(".out-scroll").evaluate((element) => element.scrollTop);
    const before = await scrolled();
    await page.keyboard.press("PageDown");
    while ((await scrolled()) <= before) await new Promise((resolve) => setTimeout(resolve, 30));

    await page.goto(`${rig.url}/history/repo`);
    await page.locator("a.cell").first().waitFor();
    await page.locator(".grid-row", { hasText: "green" }).getByRole("button").focus();
    const place = () =>
      page.evaluate(`(() => {
        const cell = document.activeElement;
        const task = cell.closest(".grid-row").querySelector("bdi + bdi").innerText;
        return task + " " + (cell.getAttribute("aria-label") ?? "").split(" ")[0];
      })()`);
    await page.keyboard.press("ArrowRight");
    assert.equal(await place(), "green #1");
    await page.keyboard.press("ArrowRight");
    assert.equal(await place(), "green #4");
    // Each row is another task, in which the cell that stands closest is chosen.
    await page.keyboard.press("ArrowUp");
    assert.match(String(await place()), /^(?!green).* #4$/);
    await page.keyboard.press("ArrowDown");
    assert.equal(await place(), "green #4");
    const stops = "document.querySelectorAll('.plot a[tabindex=\"0\"]').length";
    assert.equal(await page.evaluate(stops), 1, "a plot is one stop");
  });

  test("the palette finds a run, and starts a single task", async () => {
    await using opened = await openPage(rig.url);
    const { page } = opened;
    await page.getByText("Last runs").waitFor();
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox").fill("#2");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: /Run 2/ }).waitFor();
    await page.keyboard.press("n");
    await page.getByRole("combobox").fill("lint.types");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: /Run 6/ }).waitFor();
    await page.locator('[data-task="types"][data-status="passed"]').waitFor();
  });

  test("the filter shows what was asked for, and keeps j and k to it", async () => {
    await using opened = await openPage(`${rig.url}/runs/4`);
    const { page } = opened;
    await page.locator('[data-task="green"]').waitFor();
    await page.getByRole("button", { name: /passed/ }).click();
    await page.locator('[data-task="red one"]').waitFor({ state: "detached" });
    await page.keyboard.press("l");
    await page.keyboard.type("typ");
    await page.locator('[data-task="green"]').waitFor({ state: "detached" });
    assert.equal(await page.locator("[data-task]").count(), 1);
    await page.keyboard.press("Escape");
    await page.locator('[data-task="green"]').waitFor();
  });

  test("the colors stay as they were chosen", async () => {
    await using opened = await openPage(rig.url, { colorScheme: "light" });
    const { page } = opened;
    const background = () => page.evaluate("getComputedStyle(document.body).backgroundColor");
    const light = await background();
    await page.getByRole("button", { name: /Colors: system/ }).click();
    await page.getByRole("button", { name: /Colors: light/ }).click();
    const dark = await background();
    assert.notEqual(dark, light);
    await page.reload();
    await page.getByRole("button", { name: /Colors: dark/ }).waitFor();
    assert.equal(await background(), dark);
  });

  test("a script that breaks off on its way is fetched again", async () => {
    await using opened = await openPage(`${rig.url}/workers`);
    const { page } = opened;
    await page.getByRole("heading", { name: "Workers" }).waitFor();
    let broken = 0;
    await page.route("**/assets/*.js", (route) => {
      if (broken >= 2 || !/(app|workers)-/.test(route.request().url())) return route.continue();
      broken += 1;
      return route.abort("connectionreset");
    });
    await page.reload();
    await page.getByRole("heading", { name: "Workers" }).waitFor();
    assert.equal(broken, 2);
  });

  test("a stream that broke off goes on behind the last event, and nothing is asked for again", async () => {
    using proxy = await startProxy(() => rig.url);
    await using opened = await openPage(`${proxy.url}/runs/4`);
    const { page } = opened;
    await page.locator('[data-task="green"]').waitFor();
    const asked: string[] = [];
    page.on("request", (request) =>
      asked.push(new URL(request.url()).pathname + new URL(request.url()).search),
    );
    proxy.cut();
    await page.getByText("Connection lost, trying again").waitFor();
    await page.getByText("What you see is as it was at").waitFor();
    const missed = rig.boss.engine.start({ only: ["lint"], trigger: "while you were away" });
    assert.ok(missed.ok);
    await rig.boss.engine.finished(missed.run);
    proxy.restore();
    await page.getByText("Connection lost").waitFor({ state: "detached" });
    await page.keyboard.press("g");
    await page.keyboard.press("h");
    await page.getByText("while you were away").first().waitFor();
    assert.ok(
      asked.some((path) => /^\/api\/events\?.*after=/.test(path)),
      asked.join(),
    );
    assert.ok(!asked.some((path) => path.startsWith("/api/runs?limit")), asked.join());
  });
});
