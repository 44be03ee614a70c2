// What a fresh machine lacks: the clone's dependencies, a Docker engine, a browser. Uses Node's built-ins
// alone, since it runs before anything is installed.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

/** One line a step: what is done, then how long it took. The work may say more than "done". */
export async function step(label, work) {
  const startedAt = Date.now();
  process.stdout.write(`${label} ... `);
  try {
    const remark = await work();
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
    console.log(`${typeof remark === "string" ? remark : "done"} (${seconds} s)`);
  } catch (error) {
    console.log("failed");
    throw error;
  }
}

/** Prints a failure of a set-up step in words, without this program's own stack. */
export function exitWith(error, code = 3) {
  console.error(`\n${error instanceof Error ? error.message : error}`);
  process.exit(code);
}

/** True where every package of the lock file is in node_modules, in its version. */
export function dependenciesAreFresh(folder = root) {
  const wanted = readPackages(join(folder, "package-lock.json"));
  const installed = readPackages(join(folder, "node_modules/.package-lock.json"));
  if (!wanted || !installed) return false;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === "") return true;
    // Packages for other machines are optional and rightly absent.
    if (!installed[path]) return entry.optional === true;
    return installed[path].version === entry.version;
  });
}

function readPackages(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).packages : null;
}

export async function ensureDependencies() {
  if (dependenciesAreFresh()) return;
  // NODE_ENV=production would leave out what the build needs.
  const args = [
    "ci",
    "--ignore-scripts",
    "--include=dev",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
  ];
  await step("Installing dependencies (npm ci)", () => runQuietly("npm", args, { cwd: root }));
}

/** Output is shown only where the command fails; then its end, as an error. */
export async function runQuietly(command, args, { cwd, env = process.env } = {}) {
  const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      output = (output + chunk).slice(-20_000);
    });
  }
  const code = await new Promise((resolve, reject) => {
    child.on("error", (error) =>
      reject(new Error(`${command} cannot be started: ${error.message}`)),
    );
    child.on("close", resolve);
  });
  if (code !== 0)
    throw new Error(`${command} ${args.join(" ")} ended with ${code}:\n${shorten(output)}`);
}

/** Some programs bury their first words under a page of usage. */
function shorten(output) {
  const lines = output.trim().split("\n");
  if (lines.length <= 24) return lines.join("\n");
  return [...lines.slice(0, 12), "...", ...lines.slice(-12)].join("\n");
}

/** Null where an engine answers the docker command; otherwise why not, in one line. */
export function engineProblem() {
  const args = ["version", "--format", "{{.Server.Version}}"];
  const { status, stdout, stderr, error } = spawnSync("docker", args, {
    encoding: "utf8",
    timeout: 10_000,
  });
  if (error?.code === "ENOENT") return "the docker command is not installed";
  if (error) return `the docker command does not answer (${error.message})`;
  if (status === 0 && stdout.trim() !== "") return null;
  return stderr.trim().split("\n")[0] || "no Docker engine answers";
}

export function findChromium() {
  const asked = process.env.BETTERTEST_CHROMIUM;
  const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
  const paths = asked ? [asked] : names.map(findProgram);
  return paths.find((path) => path && existsSync(path)) ?? null;
}

export function findProgram(name) {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return folders.map((folder) => join(folder, name)).find(existsSync) ?? null;
}

/** Only where nobody has to be asked: as root, on Debian or one of its children. */
export function canInstallPackages() {
  return process.getuid?.() === 0 && findProgram("apt-get") !== null;
}

let packageListIsFresh = false;

export async function installPackages(names) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  await step(`Installing ${names.join(", ")} (apt-get)`, async () => {
    if (!packageListIsFresh) await runQuietly("apt-get", ["update", "-q"], { env });
    packageListIsFresh = true;
    // Newer Debians keep the command in a package of its own, which docker.io only recommends.
    const wanted = names.flatMap((name) =>
      name === "docker.io" && isKnownPackage("docker-cli") ? [name, "docker-cli"] : [name],
    );
    const options = ["install", "-y", "-q", "--no-install-recommends"];
    await runQuietly("apt-get", [...options, ...wanted], { env });
  });
}

function isKnownPackage(name) {
  return spawnSync("apt-cache", ["show", name], { stdio: "ignore" }).status === 0;
}

/**
 * An engine that was killed leaves files with its process ids. A new one takes whatever runs under such an
 * id today for the old one, and refuses to start.
 */
function removeStalePids() {
  const files = [
    ["/var/run/docker.pid", "dockerd"],
    ["/var/run/docker/containerd/containerd.pid", "containerd"],
  ];
  for (const [path, name] of files) {
    if (!existsSync(path)) continue;
    const comm = `/proc/${readFileSync(path, "utf8").trim()}/comm`;
    const isRunning = existsSync(comm) && readFileSync(comm, "utf8").trim() === name;
    if (!isRunning) rmSync(path, { force: true });
  }
}

/** Starts an engine of our own; resolves when it answers. `stop` ends it, and it alone. */
export async function startEngine() {
  removeStalePids();
  const folder = mkdtempSync(join(tmpdir(), "bettertest-engine-"));
  const logFile = join(folder, "dockerd.log");
  const log = openSync(logFile, "w");
  // A container's or a fresh machine's PATH may lack sbin, where dockerd finds iptables.
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  const child = spawn(findProgram("dockerd") ?? "dockerd", [], {
    detached: true,
    stdio: ["ignore", log, log],
    env,
  });
  const ended = once(child, "exit").catch(() => {});
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null && child.pid) {
      process.kill(child.pid, "SIGTERM");
      await Promise.race([ended, wait(20_000)]);
    }
    rmSync(folder, { recursive: true, force: true });
  };
  const deadline = Date.now() + 60_000;
  while (engineProblem() !== null) {
    const gone = child.exitCode !== null || child.pid === undefined;
    if (gone || Date.now() > deadline) {
      const words = readFileSync(logFile, "utf8").trim().split("\n").slice(-5).join("\n");
      await stop();
      throw new Error(`dockerd ${gone ? "ended" : "does not answer"}:\n${words}`);
    }
    await wait(200);
  }
  return { stop };
}
