// `npm test`: sets up what the tests need and runs them all. `npm test -- PATTERN ...` runs the files whose
// path holds one of the patterns.
import { spawnSync } from "node:child_process";
import { ensureBaseImage } from "./base-image.mjs";
import { endRunningTests, findTests, runTests } from "./run-tests.mjs";
import {
  canInstallPackages,
  engineProblem,
  ensureDependencies,
  exitWith,
  findChromium,
  findProgram,
  installPackages,
  root,
  startEngine,
  step,
} from "./setup.mjs";

const isCi = ["true", "1"].includes(process.env.CI ?? "");
const cleanUps = [];
const shout = (line) => console.log(`\n!!! ${line}\n`);

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, async () => {
    endRunningTests();
    await cleanUp();
    process.exit(130);
  });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  await cleanUp();
  exitWith(error, 1);
}

async function main(patterns) {
  await ensureDependencies();
  await step("Building", async () => {
    const { build, buildTypes } = await import("./build.mjs");
    await build();
    buildTypes();
  });
  await ensurePrograms();
  await ensureEngine();
  const files = findTests(`${root}dist/test`, patterns);
  console.log(`Running ${files.length} test files\n`);
  const { ok, text } = await runTests(files, { skipIsFailure: isCi });
  await cleanUp();
  console.log(text);
  return ok ? 0 : 1;
}

async function cleanUp() {
  for (const work of cleanUps.splice(0)) await work();
}

/** What is not a matter of a service: programs that some suites run. */
async function ensurePrograms() {
  const missing = [];
  if (!findProgram("python3")) missing.push("python3");
  if (!findProgram("ps")) missing.push("procps");
  if (!findProgram("nginx")) missing.push("nginx-light");
  if (!findProgram("openssl")) missing.push("openssl");
  // Debian's one program of Redis is named for what it checks, and is the server under another name.
  if (!findProgram("redis-check-rdb")) missing.push("redis-tools");
  if (!hasMetricsParser()) missing.push("python3-prometheus-client");
  // The browser's package only recommends fonts, and a page without letters is hard to judge.
  if (!findChromium()) missing.push("chromium", "fonts-dejavu-core");
  if (missing.length === 0) return;
  const names = missing.join(", ");
  if (!canInstallPackages()) {
    shout(
      `Missing: ${names}. Not root on Debian, so not installed: suites that need them are skipped.`,
    );
    return;
  }
  await installPackages(missing).catch((error) => shout(`${names}: ${error.message}`));
}

/** The strict reader of what /metrics says. */
function hasMetricsParser() {
  const args = ["-c", "import prometheus_client.openmetrics.parser"];
  return ["/usr/bin/python3", "python3"].some((python) => spawnSync(python, args).status === 0);
}

async function ensureEngine() {
  let problem = engineProblem();
  if (problem !== null && canInstallPackages()) {
    try {
      if (!findProgram("docker") || !findProgram("dockerd")) {
        await installPackages(["docker.io", "iptables"]);
      }
      if (engineProblem() !== null) {
        await step("Starting a Docker engine", async () => {
          const engine = await startEngine();
          cleanUps.push(engine.stop);
        });
      }
      problem = null;
    } catch (error) {
      problem = error.message;
    }
  }
  if (problem === null) {
    await step("Making the image bettertest-base", async () => void ensureBaseImage());
  } else shout(`No Docker engine (${problem}): suites that need one are skipped.`);
}
