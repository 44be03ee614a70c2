// Tests and artifacts on the page, in a real browser: what a results file calls red must be there by its name.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { startRig } from "../rig/rig.js";
import { noBrowser, openPage } from "./browser.js";

const report = (...tests: readonly string[]) =>
  `<testsuites><testsuite name="pytest">${tests.join("")}</testsuite></testsuites>`;
const hostile = "&lt;img src=x onerror=alert(1)&gt;";
const red = `<testcase classname="test.test_a" name="test_${hostile}"><failure message="assert 1 == 2">test/test_a.py:7: AssertionError\nthe whole story</failure></testcase>`;
const green = '<testcase classname="test.test_a" name="test_fine"/>';

function filesWith(xml: string) {
  const command = `echo printed; mkdir dist; echo made > dist/made.txt; printf '%s' '${xml}' > junit.xml`;
  return {
    ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
      const options = { results: "junit.xml", artifacts: ["dist/**", "none.txt"] };
      stage("s", { t: () => run("any", ${JSON.stringify(command)}, options) });`,
  };
}

describe("tests on the page", { skip: noBrowser }, () => {
  test("a red test is named on top of its task and of the run, with its story and its command", async () => {
    await using rig = await startRig({ files: filesWith(report(green, red)) });
    await rig.run();
    await using opened = await openPage(`${rig.url}/runs/1`);
    const { page, errors } = opened;
    const name = "test.test_a › test_<img src=x onerror=alert(1)>";
    await page.locator(".run-tests").getByText(name).waitFor();
    const tests = page.getByLabel("Tests");
    await tests.getByText("2 tests: 1 failed, 1 passed").waitFor();
    await tests.getByText(name).waitFor();
    await tests.getByText("test/test_a.py:7", { exact: true }).waitFor();
    await tests.getByText(name).click();
    await tests.getByText("the whole story").waitFor();
    await tests.getByText("pytest 'test/test_a.py::test_<img").waitFor();
    await page.getByText("1 test failed, but the command exited with 0").first().waitFor();
    await page.getByText("artifacts: there is no file none.txt").waitFor();
    await page.getByText("printed", { exact: true }).waitFor();

    await page.getByText("1 artifact (5 bytes)").click();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "dist/made.txt", exact: true }).click(),
    ]);
    assert.equal(download.suggestedFilename(), "made.txt");
    assert.deepEqual(errors, []);
  });

  test("the same with the test mended: nothing on the page is red", async () => {
    await using rig = await startRig({ files: filesWith(report(green)) });
    await rig.run();
    await using opened = await openPage(`${rig.url}/runs/1/s/t`);
    const { page } = opened;
    await page.getByText("1 test: 1 passed").waitFor();
    assert.equal(
      await page.locator(".run-tests, .tests-count.is-failed, .failing-tests").count(),
      0,
    );
  });
});
