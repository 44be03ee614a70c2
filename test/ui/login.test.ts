// Logging in as people do it: in a real browser, also without JavaScript.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { startGuarded } from "../rig/guarded.js";
import { noBrowser, openPage } from "./browser.js";

const files = {
  ".bettertest/pipedef.ts": `import { run, stage } from "bettertest"; stage("s", { t: () => run("any", "true") });`,
};
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

describe("the login page", { skip: noBrowser }, () => {
  test("opens the page that was asked for, and the cookie carries a run", async () => {
    await using guarded = await startGuarded(files);
    const { url, token } = guarded;
    await using opened = await openPage(url);
    const { page, errors } = opened;
    assert.equal(page.url(), `${url}/login`);
    await page.getByLabel("Token").fill("bt_wrong");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("alert").getByText("not known").waitFor();
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.waitForURL(`${url}/`);
    const status = await page.evaluate(async () => {
      const response = await fetch("/api/runs", { method: "POST", body: "{}" });
      return response.status;
    });
    assert.equal(status, 201);
    assert.equal(await page.evaluate("document.cookie"), "");
    const refused = errors.filter((error) => !error.includes("401"));
    assert.deepEqual(refused, []);
  });

  test("a link on another site opens what it names for who is logged in, and the form for others", async () => {
    await using guarded = await startGuarded(files);
    const { url, token } = guarded;
    const elsewhere = createServer((_, response) => {
      response.setHeader("content-type", "text/html");
      response.end(`<a href="${url}/runs/7">run 7</a>`);
    }).listen(0, "127.0.0.1");
    await once(elsewhere, "listening");
    const { port } = elsewhere.address() as AddressInfo;
    // Another name is another site, though it is the same machine.
    const site = `http://localhost:${port}`;
    try {
      await using opened = await openPage(site);
      const { page } = opened;
      await page.getByRole("link").click();
      await page.waitForURL(`${url}/login?next=%2Fruns%2F7`);
      await page.getByLabel("Token").fill(token);
      await page.getByRole("button", { name: "Log in" }).click();
      await page.waitForURL(`${url}/runs/7`);
      await page.goto(site);
      await page.getByRole("link").click();
      await page.waitForURL(`${url}/runs/7`);
    } finally {
      elsewhere.close();
      elsewhere.closeAllConnections();
    }
  });

  for (const colorScheme of ["light", "dark"] as const) {
    test(`${colorScheme}: without JavaScript, and with nothing in the way of anybody`, async () => {
      await using guarded = await startGuarded(files);
      const { url, token } = guarded;
      await using opened = await openPage(`${url}/health`, { colorScheme });
      const context = await opened.browser.newContext({ javaScriptEnabled: false, colorScheme });
      const page = await context.newPage();
      await page.goto(`${url}/runs/7`);
      assert.equal(page.url(), `${url}/login?next=%2Fruns%2F7`);
      if (process.env.BETTERTEST_SCREENSHOTS) {
        await page.screenshot({
          path: `${process.env.BETTERTEST_SCREENSHOTS}/login-${colorScheme}.png`,
        });
      }
      await page.getByLabel("Token").fill(token);
      await page.keyboard.press("Enter");
      await page.waitForURL(`${url}/runs/7`);

      const seeing = await opened.browser.newContext({ bypassCSP: true, colorScheme });
      const examined = await seeing.newPage();
      await examined.goto(`${url}/login`);
      await examined.evaluate(axe);
      const violations = await examined.evaluate(
        "axe.run().then(({ violations }) => violations.map(({ id }) => id))",
      );
      assert.deepEqual(violations, []);
    });
  }
});
