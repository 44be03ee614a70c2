// The processes this thread has started. One still alive when its thread ends would be neither killed nor
// reaped: nobody is left to wait for it.

import { ChildProcess } from "node:child_process";

const alive = new Set<ChildProcess>();

export function trackChildren(changed: (pid: number, alive: boolean) => void): void {
  const { prototype } = ChildProcess;
  // Not in the declarations; every way to start a child without waiting for it comes through here.
  const spawn: unknown = Reflect.get(prototype, "spawn");
  if (typeof spawn !== "function") return;
  Reflect.set(prototype, "spawn", function (this: ChildProcess, options: unknown) {
    const result: unknown = Reflect.apply(spawn, this, [options]);
    const { pid } = this;
    if (pid === undefined) return result;
    alive.add(this);
    changed(pid, true);
    this.once("exit", () => {
      alive.delete(this);
      changed(pid, false);
    });
    return result;
  });
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
