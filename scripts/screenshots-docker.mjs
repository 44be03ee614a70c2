// What only a Docker engine can show, for screenshots.mjs: images, services, caches, results, kept sandboxes.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const image = "bettertest-base";

const pipedef = `
import { artifacts, hashFiles, image, run, stage, workspace } from "bettertest";
const app = () => image({ context: "app" });
const options = {
  source: workspace(),
  cache: { key: "deps-" + hashFiles("package-lock.json"), paths: ["node_modules"] },
};
const sh = (command, more) => run("${image}", command, { ...options, ...more });
stage("build", {
  image: app,
  bundle: () => sh("mkdir -p dist/assets node_modules/a; echo > dist/app.js; seq 20000 > dist/assets/checkout-3f9ac01b7d.js; sleep 1",
    { artifacts: ["dist/**"] }),
});
const unit = stage("unit");
for (const name of ["cart/coupons", "cart/shipping", "cart/total", "catalog/filter", "catalog/search", "catalog/sort"])
  unit.task(name, () => sh("sleep 0." + name.length % 7));
const db = { image: "${image}", command: ["sh", "-c", \`echo 'database system is ready to accept connections'
  for i in $(seq 60); do echo "LOG: checkpoint $i complete: wrote $i buffers; sync files=3, longest=0.002 s"; done
  exec sleep 1000\`], ready: "true" };
const mail = { image: "${image}", command: ["sh", "-c", "echo listening; exec sleep 1000"] };
stage("integration", {
  orders: async () => run(await app(), "./test/integration orders", { ...options, services: { db, mail }, results: "junit.xml" }),
  "the bundle": () => run("${image}", "cat dist/app.js", { source: artifacts("build.bundle") }),
});
stage("deploy", { staging: () => sh("true") });
`;

const failures = [
  ["a coupon is used once", 41, "Expected 1 order with coupon SPRING, got 2"],
  [
    "a refund gives back what was paid",
    97,
    "expected { amountInCents: 1999 } to deeply equal { amountInCents: 2000 }",
  ],
];
const junit = `<testsuites><testsuite name="orders">
${Array.from({ length: 31 }, (_, at) => `<testcase classname="orders" name="order ${at}" time="0.01"/>`).join("\n")}
${failures
  .map(
    ([name, line, message]) =>
      `<testcase classname="orders" file="test/orders.test.ts" line="${line}" name="${name}" time="0.4"><failure message="${message}">${message}
    at test/orders.test.ts:${line}:7
    at Test.run (node:internal/test_runner/test:797:9)</failure></testcase>`,
  )
  .join("\n")}
</testsuite></testsuites>
`;

const script = `#!/bin/sh
echo 'applying 12 migrations to db'
sleep 1
for name in 'a cart becomes an order' 'an order is paid' 'an order is sent'; do printf '\\033[32m✔\\033[0m %s\\n' "$name"; done
printf '\\033[31m✖ ${failures[0][0]}\\033[0m\\n  AssertionError: ${failures[0][2]}\\n      at test/orders.test.ts:41:7\\n'
printf '\\033[31m✖ ${failures[1][0]}\\033[0m\\n  AssertionError: ${failures[1][2]}\\n      at test/orders.test.ts:97:7\\n'
cp test/report junit.xml
echo '33 tests, 2 failed'
exit 1
`;

const files = {
  ".bettertest/pipedef.ts": pipedef,
  "app/Dockerfile": `FROM ${image}\nARG BUILT=${Date.now()}\nRUN echo $BUILT > /built\nCOPY . /app\n`,
  "app/code.txt": "code\n",
  "package-lock.json": "{}\n",
  "test/report": junit,
  "test/integration": script,
};

/** A red run whose tasks show all of it, and its pages. */
export async function startDockerRig(startRig) {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-screenshots-"));
  const repo = join(folder, "webshop");
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(repo, path)), { recursive: true });
    writeFileSync(join(repo, path), text, { mode: 0o755 });
  }
  const git = (...args) => execFileSync("git", args, { cwd: repo });
  git("init", "-q", "-b", "main");
  git("add", "-A");
  git("-c", "user.name=anna", "-c", "user.email=anna@example.org", "commit", "-qm", "first");
  const rig = await startRig({
    executor: "docker",
    slots: 4,
    keepFailedMs: 45 * 60_000,
    files: {},
    pipedefs: [repo],
  });
  const { engine } = rig.boss;
  const run = async (more) => {
    const started = engine.start({ trigger: "push to main", ...more });
    if (!started.ok) throw new Error(started.error);
    await engine.finished(started.run);
    return started.run;
  };
  await run({ only: ["build", "unit"] });
  const red = await run({ keepGoing: true });
  const task = (name) => `${rig.url}/runs/${red}/${name}`;
  const openAll = async (page) => {
    for (const one of await page.locator(".pane-about summary").all()) await one.click();
  };
  return {
    pages: [
      { name: "docker-home", url: rig.url },
      { name: "docker-red", url: task("integration/orders") },
      { name: "docker-red-open", url: task("integration/orders"), act: openAll },
      { name: "docker-cached", url: task("build/image") },
      { name: "docker-artifacts", url: task("build/bundle"), act: openAll },
    ],
    async [Symbol.asyncDispose]() {
      await rig[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    },
  };
}
