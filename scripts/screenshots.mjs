// Pictures of every page with real runs, to be looked at: dark and light, on a phone, a laptop and a wall.
//   node scripts/screenshots.mjs [FOLDER] [WORD...]     WORD: only pages whose name holds one of them
// Boss and worker are real, the tasks plain processes, and containers where a Docker engine is; a Chromium must be
// installed. docs/screenshot.png is docker-red-laptop-dark.png.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "./build.mjs";
import { startDockerRig } from "./screenshots-docker.mjs";

await build();
const { startRig } = await import("../dist/test/rig/rig.js");
const { startGuarded } = await import("../dist/test/rig/guarded.js");
const { startProxy } = await import("../dist/test/rig/proxy.js");
const { noDocker } = await import("../dist/test/rig/docker.js");
const { openPage } = await import("../dist/test/ui/browser.js");

const [folder = join(tmpdir(), "bettertest-screenshots"), ...words] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });

const unitTests = [
  ["cart adds up prices", 0.3],
  ["cart keeps coupons", 0.2],
  ["cart rounds to cents", 0.1],
  ["mail finds its template", 0.5],
  ["mail is sent once", 0.2],
  ["search ranks exact words first", 0.7],
  ["sessions end after a day", 0.1],
  ["users may change their name", 0.2],
];

/** Which of the tests are red, and how long they take, the files in `state` say. */
const pipedef = `
import { run, stage } from "bettertest";
const sh = (command, options) => run("WORKER_URL", "shop-test:24", command, options);
const steps = (seconds) => "for i in 1 2 3 4 5; do echo \\"  step $i done\\"; sleep " + seconds / 5 + "; done";
stage("lint", {
  types: () => sh("sleep 0.4; echo no errors"),
  style: () => sh("sleep 0.1; printf '\\\\033[32mChecked 312 files.\\\\033[0m\\\\n'"),
});
const unit = stage("unit");
for (const [name, seconds] of ${JSON.stringify(unitTests)}) {
  unit.task(name, () => sh("echo ::group::Set up; echo node v24; echo ::endgroup::; " + steps(seconds) +
    "; if [ -e STATE/coupons ] && [ '" + name + "' = 'cart keeps coupons' ]; then " +
    "printf '\\\\033[31mAssertionError\\\\033[0m: expected 3 coupons, got 2\\\\n    at test/cart.test.ts:41:7\\\\n'; exit 1; fi; echo passed"));
}
unit.task("upload of a large file survives a slow network", () =>
  sh("echo try; date +%s%N; if [ -e STATE/flaky ]; then rm STATE/flaky; echo 'Error: ECONNRESET'; exit 1; fi; echo ok"), { retries: 2 });
stage("browser", {
  "checkout.spec.ts": () => sh(steps(0.8)),
  "login.spec.ts": () => sh(steps(0.4)),
  "on a machine that is gone": () => process.env.NONE ?? run("http://127.0.0.1:1", "shop-test:24", "true"),
});
stage("soak", { "a thousand orders": () => sh("i=0; while true; do i=$((i+1)); echo order $i of 1000; sleep 0.3; done") });
`;

const state = mkdtempSync(join(tmpdir(), "bettertest-state-"));
const set = (name) => writeFileSync(join(state, name), "");
const rig = await startRig({
  files: {
    "shop/.bettertest/pipedef.ts": pipedef.replaceAll("STATE", state),
    "docs/.bettertest/pipedef.ts": `import { run, stage } from "bettertest"; stage("docs", { links: () => run("WORKER_URL", "docs:1", "sleep 0.2") });`,
    "broken/.bettertest/pipedef.ts": `import { stage } from "bettertest";\nstage("unit", {;\n`,
  },
  slots: 4,
  infraRetries: 0,
});

const { engine } = rig.boss;
const shop = engine.pipelines.views().find(({ name }) => name.includes("shop")).name;
const start = (more = {}) => {
  const started = engine.start({ pipeline: shop, trigger: "anna", ...more });
  if (!started.ok) throw new Error(started.error);
  return started.run;
};
const allButSoak = { only: ["lint", "unit", "browser.checkout.spec.ts", "browser.login.spec.ts"] };
for (let count = 0; count < 8; count += 1) {
  if (count % 3 === 1) set("flaky");
  if (count === 4) set("coupons");
  await engine.finished(start(allButSoak));
  if (count === 4) rmSync(join(state, "coupons"));
}
const green = start(allButSoak);
await engine.finished(green);
const errored = start({ only: ["lint", "browser.on a machine that is gone"] });
await engine.finished(errored);
const cancelled = start({ only: ["lint", "unit"] });
await new Promise((resolve) => setTimeout(resolve, 700));
engine.cancel(cancelled, "anna");
await engine.finished(cancelled);
set("flaky");
set("coupons");
const red = start({ keepGoing: true, only: allButSoak.only });
await engine.finished(red);
const running = start({ only: ["lint", "soak", "browser.login.spec.ts"] });
const queued = start({ only: ["lint"], trigger: "api" });
await new Promise((resolve) => setTimeout(resolve, 4000));

const guarded = await startGuarded({ ".bettertest/pipedef.ts": "" });
const empty = await startRig({ files: { "readme.txt": "" }, workers: [] });
const proxy = await startProxy(() => rig.url);
const docker = noDocker() ? null : await startDockerRig(startRig);

const run = (id, rest = "") => `${rig.url}/runs/${id}${rest}`;
const pages = [
  { name: "home", url: rig.url },
  { name: "home-empty", url: empty.url },
  { name: "run-green", url: run(green) },
  { name: "run-red", url: run(red) },
  { name: "run-red-task", url: run(red, "/unit/cart%20keeps%20coupons") },
  { name: "run-errored", url: run(errored) },
  { name: "run-cancelled", url: run(cancelled) },
  { name: "run-running", url: run(running) },
  { name: "run-running-task", url: run(running, "/soak/a%20thousand%20orders") },
  { name: "run-queued", url: run(queued) },
  { name: "run-missing", url: run(999) },
  {
    name: "attempts",
    url: run(red, "/unit/upload%20of%20a%20large%20file%20survives%20a%20slow%20network"),
    async act(page) {
      await page
        .getByRole("button", { name: /compare/i })
        .first()
        .click({ timeout: 3000 });
    },
  },
  { name: "timeline", url: run(red, "/timeline") },
  { name: "history", url: `${rig.url}/history/${encodeURIComponent(shop)}` },
  { name: "compare", url: `${rig.url}/compare/${green}/${red}` },
  { name: "workers", url: `${rig.url}/workers` },
  { name: "missing", url: `${rig.url}/runs/x` },
  { name: "keys", url: run(red), act: (page) => page.keyboard.press("?") },
  { name: "palette", url: run(red), act: (page) => page.keyboard.press("Control+k") },
  { name: "new-run", url: rig.url, act: (page) => page.keyboard.press("n") },
  ...(docker?.pages ?? []),
  { name: "login", url: `${guarded.url}/login` },
  {
    name: "offline",
    url: proxy.url,
    async act(page) {
      proxy.cut();
      await page.getByText("Connection lost").waitFor();
    },
    after: () => proxy.restore(),
  },
].filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));

const sizes = [
  ["phone", 360, 740],
  ["laptop", 1280, 800],
  ["wall", 2560, 1440],
];
for (const colorScheme of ["dark", "light"]) {
  const { page, browser } = await openPage("about:blank", { colorScheme });
  for (const [size, width, height] of sizes) {
    await page.setViewportSize({ width, height });
    for (const { name, url, act, after } of pages) {
      await page.goto(url);
      await page.locator("main, form").first().waitFor();
      await page
        .locator(".loading")
        .waitFor({ state: "detached" })
        .catch(() => {});
      await page.waitForTimeout(700);
      try {
        await act?.(page);
      } catch (error) {
        console.log(`${name}, ${size}: ${String(error).split("\n")[0]}`);
      }
      await page.waitForTimeout(300);
      await page.screenshot({ path: join(folder, `${name}-${size}-${colorScheme}.png`) });
      after?.();
    }
  }
  await browser.close();
}
console.log(`${pages.length * sizes.length * 2} pictures in ${folder}`);
proxy[Symbol.dispose]();
for (const one of [docker, guarded, empty, rig]) await one?.[Symbol.asyncDispose]();
rmSync(state, { recursive: true });
process.exit();
