// The boss is killed (SIGKILL) under an open page, in the middle of a run: the page says so, and then shows by
// itself what the next boss knows. Nobody touches it.

import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { tempRepo } from "../cli/rig.js";
import { startBossProcess } from "../rig/boss-process.js";
import { startProxy } from "../rig/proxy.js";
import { startWorkerProcess } from "../rig/worker.js";
import { noBrowser, openPage } from "./browser.js";

const pipedef = `
import { run, stage } from "bettertest";
const wait = (gate) => "while [ ! -e " + gate + " ]; do sleep 0.02; done; ";
stage("unit", {
  first: () => run("any", "echo done before the kill"),
  watched: () => run("any", "echo before the kill; " + wait("FOLDER/gate") + "echo after the kill"),
  red: () => run("any", wait("FOLDER/gate") + "echo it broke; exit 1"),
});
stage("ship", { ship: () => run("any", "true") });
`;

describe("a page whose boss is killed", { skip: noBrowser }, () => {
  test("goes on with the run when another boss has taken it up", async () => {
    await using worker = await startWorkerProcess({ executor: "process", slots: 4 });
    using repo = tempRepo({});
    repo.write(".bettertest/pipedef.ts", pipedef.replaceAll("FOLDER", repo.folder));
    const args = ["--data", join(repo.folder, "data"), "--worker", worker.url];
    let boss = await startBossProcess(args, repo.folder);
    // One address for both bosses, as with a fixed port.
    using proxy = await startProxy(() => boss.url);
    const id = await boss.start();
    await using opened = await openPage(`${proxy.url}/runs/${id}/unit/watched`);
    const { page, errors } = opened;
    await page.evaluate(() => Object.assign(globalThis, { sameDocument: true }));
    const task = (name: string, status: string) =>
      page.locator(`[data-task="${name}"][data-status="${status}"]`);
    const output = page.locator(".out-rows");
    await output.getByText("before the kill").waitFor();
    await task("first", "passed").waitFor();
    await task("red", "running").waitFor();
    // A second run waits behind the first; the page must find it again, too.
    const second = await boss.start({ only: ["unit.first"] });
    await boss.finished(second);

    // A reader in the middle of something is not thrown out of it.
    const field = page.locator(".out input[type=search]");
    await field.fill("kill");
    await field.evaluate((element) => Object.assign(element, { sameField: true }));

    await boss.kill();
    await page.getByText("Connection lost, trying again").waitFor();
    // What was true is still to be read, and not passed off as news.
    await page.getByText("What you see is as it was at").waitFor();
    await output.getByText("before the kill").waitFor();
    await task("watched", "running").waitFor();
    assert.equal(await page.title(), `Connection lost - Run ${id} - bettertest`);

    boss = await startBossProcess(args, repo.folder);
    await page.getByText("Connection lost").waitFor({ state: "detached" });
    await task("watched", "running").waitFor();
    repo.write("gate", "");
    await output.getByText("after the kill").waitFor();
    await page.locator('h1 [data-status="failed"]').waitFor();
    await task("watched", "passed").waitFor();
    await task("red", "failed").waitFor();
    await task("ship", "skipped").waitFor();
    const lines = await output.locator(".out-text").allTextContents();
    assert.deepEqual(lines, ["before the kill", "after the kill"]);

    // The page and the boss say the same of every task.
    const run = await boss.run(id);
    for (const { name, status } of run.stages.flatMap(({ tasks }) => tasks)) {
      assert.equal(await task(name, status).count(), 1, `${name} is ${status}`);
    }
    assert.equal(await page.evaluate(() => "sameDocument" in globalThis), true, "no reload");
    assert.equal(await field.inputValue(), "kill");
    assert.equal(await field.evaluate((element) => "sameField" in element), true, "no new output");
    await field.blur();
    await page.keyboard.press("g");
    await page.keyboard.press("h");
    await page.locator(`[data-run="${second}"]`).waitFor();
    await page.locator(`[data-run="${id}"]`).waitFor();
    assert.deepEqual(errors, []);
    assert.equal(await boss.stop(), 0);
  });
});
