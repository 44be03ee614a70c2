// What stood beside a task, on the page and on the command line.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { cli } from "../cli/rig.js";
import { image, noDocker } from "../rig/docker.js";
import { startRig } from "../rig/rig.js";
import { noBrowser, openPage } from "./browser.js";

describe("services on the page", { skip: noBrowser || noDocker() }, () => {
  test("each is named with what it printed, live and afterwards; logs --service prints it too", async () => {
    await using rig = await startRig({
      executor: "docker",
      files: {
        ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
          const db = { image: "${image}", command: ["sh", "-c", "echo '<b>up</b>'; sleep 1000"] };
          stage("s", { t: () => run("${image}", "sleep 15", { services: { db } }) });`,
      },
    });
    const started = rig.run();
    await using opened = await openPage(`${rig.url}/runs/1/s/t`);
    const { page, errors } = opened;
    const services = page.getByLabel("Services");
    await services.getByText("running").waitFor();
    await services.getByText("service db").click();
    await services.getByText("<b>up</b>").waitFor();
    await started;
    await services.getByText("10 B").waitFor();
    await services.getByText("<b>up</b>").waitFor();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      services.getByRole("link", { name: "Download all of it" }).click(),
    ]);
    assert.match(download.suggestedFilename(), /output/);
    assert.deepEqual(errors, []);

    const printed = await cli(["logs", "1", "s.t", "--service", "db", "--boss", rig.url]);
    assert.equal(printed.stdout, "<b>up</b>\n");
    const missing = await cli(["logs", "1", "s.t", "--service", "cache", "--boss", rig.url]);
    assert.match(missing.stderr, /s\.t of run 1 has no service "cache"[\s\S]*There is: db/);
    assert.notEqual(missing.exitCode, 0);
  });
});
