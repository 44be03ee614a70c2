// Runs test files, each in a process group of its own: what a file prints stays with it, a hanging file is
// ended alone, and what it leaves running is found. (Node 20's own --test gives its time limit to a whole
// file, and waits forever for one that ended its tests but not itself.)
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { FileReport, summarize } from "./reporter.mjs";
import { root } from "./setup.mjs";

const reporter = join(root, "scripts/reporter.mjs");
const outputLimit = 200_000;
/** Generous: it is there to end what hangs, not to judge what is slow on a busy machine. */
const defaultStallTimeoutMs = 480_000;

/** Paths of test files below `folder` that hold one of the patterns; all of them where there is none. */
export function findTests(folder, patterns = []) {
  const wanted = patterns.map((pattern) =>
    pattern.replace(/^(dist[/\\])?/, "").replace(/\.tsx?$/, ""),
  );
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith(".test.js") && !name.split(sep).includes("fixtures"))
    .map((name) => join(folder, name))
    .filter((path) => wanted.length === 0 || wanted.some((pattern) => path.includes(pattern)))
    .sort();
}

const running = new Set();

/** Ends every test file that is still running, and what it started in its group. */
export function endRunningTests() {
  for (const child of running) killGroup(child.pid);
}

/**
 * @param {object} options
 * @param {number} options.stallTimeoutMs how long a file may go without a result
 * @returns {Promise<{ ok: boolean, text: string }>} the end of the report
 */
export async function runTests(files, options) {
  const {
    concurrency = 2,
    stallTimeoutMs = defaultStallTimeoutMs,
    skipIsFailure = false,
    print = console.log,
  } = options;
  const reports = [];
  const queue = [...files];
  const next = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const report = await runFile(file, stallTimeoutMs);
      reports.push(report);
      print(report.line());
    }
  };
  await Promise.all(Array.from({ length: concurrency }, next));
  if (files.length > 1) await runAloneAgain(reports, { stallTimeoutMs, print });
  reports.sort((a, b) => (a.file < b.file ? -1 : 1));
  return summarize(reports, { skipIsFailure });
}

/** Of more it is not the crowd that made them fail. */
const mostAgain = 10;

/**
 * Two files at a time and whatever else the machine does may be too much for one that waits for something to happen. So
 * what failed runs once more with nothing beside it; where it passes then, the report says both.
 */
async function runAloneAgain(reports, { stallTimeoutMs, print }) {
  const failed = reports.filter((report) => report.failures.length > 0);
  if (failed.length > mostAgain) return;
  for (const first of failed.filter((report) => report.mayPassAlone)) {
    const report = await runFile(first.path, stallTimeoutMs);
    print(`${report.line()}, alone`);
    if (report.failures.length > 0) continue;
    report.crowded = first.failures;
    reports.splice(reports.indexOf(first), 1, report);
  }
}

async function runFile(file, stallTimeoutMs) {
  const report = new FileReport(relative(join(root, "dist"), file), file);
  const startedAt = performance.now();
  const args = ["--enable-source-maps", `--test-reporter=${reporter}`];
  const child = spawn(process.execPath, [...args, "--test-reporter-destination=stdout", file], {
    cwd: root,
    detached: true,
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  running.add(child);
  const closed = new Promise((resolve) => child.on("close", resolve));
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      report.output = (report.output + chunk).slice(-outputLimit);
    });
  }

  let stalled = false;
  let current = "the file's own code";
  const watchdog = setTimeout(() => {
    stalled = true;
    killGroup(child.pid);
  }, stallTimeoutMs);
  createInterface({ input: child.stdio[3] }).on("line", (line) => {
    watchdog.refresh();
    const message = JSON.parse(line);
    if (message.type === "start") current = message.name;
    else {
      current = `something after "${message.name}"`;
      report.add(message);
    }
  });
  const end = await new Promise((resolve) => {
    // "exit", not "close": what a test left running may hold the pipes open.
    child.on("exit", (code, signal) => resolve({ code, signal }));
  });
  clearTimeout(watchdog);
  const left = stalled ? [] : await leftOf(child.pid);
  if (left.length > 0) killGroup(child.pid);
  // A process that left the group can still hold a pipe; it must not hold up the report.
  await within(2000, closed);
  running.delete(child);

  if (stalled) report.fail("stalled", `no result for ${stallTimeoutMs / 1000} s: ${current} hangs`);
  else if (left.length > 0)
    report.fail("leftovers", `its tests left processes running:\n${left.join("\n")}`);
  else if (end.code !== 0 && report.failures.length === 0) {
    report.fail("the file", `ended with ${end.signal ?? `exit code ${end.code}`}; see its output`);
  } else if (report.passed + report.skipped.length + report.failures.length === 0) {
    report.fail("the file", "holds no test");
  }
  report.durationMs = performance.now() - startedAt;
  return report;
}

/** Children that were told to end get a moment to do so. Names those that have not. */
async function leftOf(group) {
  const deadline = performance.now() + 2000;
  for (;;) {
    const left = groupLives(group) ? membersOf(group) : [];
    if (left.length === 0 || performance.now() > deadline) return left;
    await wait(20);
  }
}

function groupLives(pid) {
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Those that are not dead already, and only not yet taken note of. */
function membersOf(group) {
  if (!existsSync("/proc/self/stat")) return [`some of the group ${group}`];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
        const [state, , pgid] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        if (Number(pgid) !== group || state === "Z" || state === "X") return [];
        const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").join(" ");
        return [`${pid} (${state}): ${words.trim()}`];
      } catch {
        return [];
      }
    });
}

function killGroup(pid) {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

async function within(ms, promise) {
  const limit = new AbortController();
  await Promise.race([promise, wait(ms, undefined, { signal: limit.signal }).catch(() => {})]);
  limit.abort();
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, () => {
      endRunningTests();
      process.exit(130);
    });
  }
  const { text, ok } = await runTests(process.argv.slice(2), {
    skipIsFailure: process.env.CI === "true",
    stallTimeoutMs: Number(process.env.STALL_TIMEOUT_MS ?? defaultStallTimeoutMs),
  });
  console.log(text);
  process.exitCode = ok ? 0 : 1;
}
