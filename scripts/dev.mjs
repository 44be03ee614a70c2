// `npm run dev`: boss, worker and page from the sources, rebuilt and restarted on every change, in one
// terminal. Works with or without Docker. Further arguments go to `bettertest up`:
//   npm run dev -- --pipedef ../my-repo/.bettertest/pipedef.ts
import { spawn } from "node:child_process";
import { existsSync, watch } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ensureBaseImage } from "./base-image.mjs";
import { engineProblem, ensureDependencies, exitWith, root } from "./setup.mjs";

const settleMs = 50;
const say = (line) => console.log(`[dev] ${line}`);

try {
  await main(process.argv.slice(2));
} catch (error) {
  exitWith(error);
}

async function main(extraArgs) {
  await ensureDependencies();
  const { build, createBuilder } = await import("./build.mjs");
  await build();
  const args = ["up", ...defaults(extraArgs), ...extraArgs];

  let builder = await createBuilder();
  let child = null;
  let stopping = false;
  /** True while this program itself ends the other. */
  let ending = false;
  let work = restart();

  async function restart() {
    await endChild();
    if (stopping) return;
    child = start(args);
    child.once("exit", (code, signal) => {
      child = null;
      if (!ending) {
        say(`it ended (${signal ?? `exit code ${code}`}); waiting for a change`);
      }
    });
  }

  async function endChild() {
    if (!child) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    ending = true;
    child.kill("SIGTERM");
    await ended;
    ending = false;
  }

  async function onChange(changed) {
    const startedAt = performance.now();
    try {
      // A context knows the entry files it was made with; a new or deleted file needs a new one.
      if ([...changed].some(({ renamed }) => renamed)) {
        await builder.dispose();
        builder = await createBuilder();
      }
      await builder.rebuild();
    } catch {
      say("the build failed (see above); the last good one goes on");
      return;
    }
    const names = [...new Set([...changed].map(({ name }) => name))].slice(0, 3).join(", ");
    say(`${names}: built in ${Math.round(performance.now() - startedAt)} ms, restarting`);
    await restart();
  }

  const changed = new Set();
  let timer = null;
  const watchers = ["src", "runtime", "ui", "compat-python"]
    .filter((folder) => existsSync(join(root, folder)))
    .map((folder) =>
      watch(join(root, folder), { recursive: true }, (kind, file) => {
        if (!file || !/\.(tsx?|css|html|py)$/.test(file)) return;
        changed.add({ name: join(folder, file), renamed: kind === "rename" });
        clearTimeout(timer);
        timer = setTimeout(() => {
          const batch = new Set(changed);
          changed.clear();
          work = work.then(() => onChange(batch));
        }, settleMs);
      }),
    );

  let signals = 0;
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.on(signal, async () => {
      signals += 1;
      // Asked twice: whoever asks does not want to wait.
      if (signals > 1) child?.kill("SIGKILL");
      if (stopping) return;
      stopping = true;
      clearTimeout(timer);
      for (const watcher of watchers) watcher.close();
      await work;
      await endChild();
      await builder.dispose();
    });
  }
}

function defaults(extraArgs) {
  const given = (flag) => extraArgs.some((arg) => arg === flag || arg.startsWith(`${flag}=`));
  const args = [];
  if (!given("--pipedef")) {
    args.push("--pipedef", join(root, "examples/quickstart/.bettertest/pipedef.ts"));
  }
  if (!given("--executor")) args.push("--executor", chooseExecutor());
  return args;
}

function chooseExecutor() {
  const problem = engineProblem();
  if (problem === null) {
    ensureBaseImage();
    return "docker";
  }
  say(`without Docker (${problem}): the process executor, which isolates nothing`);
  return "process";
}

function start(args) {
  const child = spawn(
    process.execPath,
    ["--enable-source-maps", join(root, "bin/bettertest.js"), ...args],
    // A group of its own: Ctrl-C reaches this program alone, which ends the other in order.
    { cwd: root, detached: true, stdio: ["ignore", "pipe", "pipe"] },
  );
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => console.log(`[up]  ${line}`));
  }
  return child;
}
