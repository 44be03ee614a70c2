// The processes this thread has started. One still alive when its thread ends would be neither killed nor
// reaped: nobody is left to wait for it. And what they inherit as their output must be the task's.

import childProcess, { ChildProcess } from "node:child_process";
import { syncBuiltinESMExports } from "node:module";

const alive = new Set<ChildProcess>();

type Print = (bytes: Uint8Array) => void;

export interface TrackOptions {
  readonly changed: (pid: number, alive: boolean) => void;
  /** Where inherited output goes. Absent: where it always went. */
  readonly print?: Print;
}

export function trackChildren({ changed, print }: TrackOptions): void {
  const { prototype } = ChildProcess;
  // Not in the declarations; every way to start a child without waiting for it comes through here.
  const spawn: unknown = Reflect.get(prototype, "spawn");
  if (typeof spawn !== "function") return;
  Reflect.set(prototype, "spawn", function (this: ChildProcess, options: { stdio?: unknown }) {
    const { stdio, inherited } = print ? ownStdio(options.stdio) : keepStdio(options.stdio);
    const result: unknown = Reflect.apply(spawn, this, [{ ...options, stdio }]);
    const { pid } = this;
    if (pid === undefined) return result;
    if (print) for (const fd of inherited) this.stdio[fd]?.on("data", print);
    alive.add(this);
    changed(pid, true);
    this.once("exit", () => {
      alive.delete(this);
      changed(pid, false);
    });
    return result;
  });
  if (print) catchInheritedSync(print);
}

/** Kills them and waits until each is reaped. */
export async function endChildren(): Promise<void> {
  const exits = [...alive].map((child) => {
    const exit = new Promise<void>((done) => child.once("exit", () => done()));
    child.ref();
    killHard(child);
    return exit;
  });
  await Promise.all(exits);
}

function killHard(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    // Its own group, if it leads one.
    process.kill(-child.pid, "SIGKILL");
  } catch {
    child.kill("SIGKILL");
  }
}

interface OwnStdio {
  readonly stdio: unknown;
  /** Descriptors of the child that were to be this process's own 1 and 2. */
  readonly inherited: readonly number[];
}

function keepStdio(stdio: unknown): OwnStdio {
  return { stdio, inherited: [] };
}

function ownStdio(stdio: unknown): OwnStdio {
  const given: unknown[] = Array.isArray(stdio) ? [...stdio] : [stdio, stdio, stdio];
  const inherited: number[] = [];
  if (isInherited(given[0], 0)) given[0] = "ignore";
  for (const fd of [1, 2]) {
    if (!isInherited(given[fd], fd)) continue;
    given[fd] = "pipe";
    inherited.push(fd);
  }
  return { stdio: given, inherited };
}

function isInherited(entry: unknown, fd: number): boolean {
  if (entry === "inherit" || entry === process.stdin) return true;
  if (entry === process.stdout || entry === process.stderr) return true;
  return fd === 0 ? entry === 0 : entry === 1 || entry === 2;
}

/** The functions that wait for the child: its inherited output is printed when it has ended. */
function catchInheritedSync(print: Print): void {
  for (const name of ["spawnSync", "execFileSync", "execSync"] as const) {
    const original: unknown = childProcess[name];
    if (typeof original !== "function") continue;
    Reflect.set(childProcess, name, (...given: unknown[]) => {
      const last = given.at(-1);
      if (given.length < 2 || typeof last !== "object" || last === null || Array.isArray(last)) {
        return Reflect.apply(original, childProcess, given);
      }
      const { stdio, inherited } = ownStdio(Reflect.get(last, "stdio") ?? "pipe");
      // What is inherited has no limit; what is caught has one of 1 MiB unless something is said.
      const limit = inherited.length === 0 ? {} : { maxBuffer: Number.POSITIVE_INFINITY };
      const call = [...given.slice(0, -1), { ...limit, ...last, stdio }];
      if (inherited.length === 0) return Reflect.apply(original, childProcess, call);
      try {
        const result: unknown = Reflect.apply(original, childProcess, call);
        if (name === "spawnSync") printCaught(result, inherited, print);
        else if (inherited.includes(1)) printBytes(result, print);
        return name === "spawnSync" ? result : inherited.includes(1) ? null : result;
      } catch (error) {
        printCaught(error, inherited, print);
        throw error;
      }
    });
  }
  syncBuiltinESMExports();
}

function printCaught(result: unknown, inherited: readonly number[], print: Print): void {
  if (typeof result !== "object" || result === null) return;
  for (const fd of inherited)
    printBytes(Reflect.get(result, fd === 1 ? "stdout" : "stderr"), print);
}

function printBytes(output: unknown, print: Print): void {
  if (typeof output === "string") print(Buffer.from(output));
  else if (output instanceof Uint8Array) print(output);
}
