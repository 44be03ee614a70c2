import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CallFiles, testsPath } from "../../../src/boss/run/call-files.js";
import { Secrets } from "../../../src/boss/secrets/secrets.js";
import { packedFileLine } from "../../../src/wire/file-pack.js";

test("of a secret that a limit cuts through nothing is kept", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-files-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const secret = "hunter2-super-secret-value-0123456789";
  const outputPath = join(folder, "0-0-1.out");
  const files = new CallFiles({
    ...{ outputPath, call: 1, maxArtifactBytes: 1000 },
    secrets: new Secrets(new Map([["TOKEN", secret]])),
  });
  // The limits of a name, of a message, of details and of a note, each in the middle of it.
  const until = (most: number) => "x".repeat(most - 20) + secret;
  const report = Buffer.from(
    `not ok 1 - ${until(1_000)}\n  ---\n  message: "${until(4_000)}"\n  stack: |\n    ${until(32_000)}\n  ...\n1..1\n`,
  );
  const head = packedFileLine({ path: "a.tap", bytes: report.length, uses: ["results"] });
  await files.take(Buffer.concat([head, report]));
  const found = await files.finish({ bytes: head.length + report.length, notes: [until(500)] });
  assert.equal(found?.tests?.failed, 1);
  const kept = JSON.stringify(found) + readFileSync(testsPath(outputPath, 1), "utf8");
  assert.doesNotMatch(kept, /hunter2/);
  assert.match(kept, /xxxx/);
});
