// Who owns a sandbox or a folder: one process, told from every other one that ever was.
//
// Sandboxes outlive a worker that was killed. The next worker may remove them only when it is sure that
// their owner is dead; the engine may serve workers of other machines, or in containers, whose processes
// it cannot see. Those it leaves alone.

import { execFileSync } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

export interface Owner {
  readonly host: string;
  readonly boot: string;
  /** Pids are comparable only within one namespace. */
  readonly pidNamespace: string;
  readonly pid: number;
  /** In the system's own unit; a pid that is used again has another. */
  readonly startedAt: string;
}

export function currentOwner(): Owner {
  return {
    ...currentPlace(),
    pid: process.pid,
    startedAt: startOfProcess(process.pid) ?? "unknown",
  };
}

export function ownerKey({ host, boot, pidNamespace, pid, startedAt }: Owner): string {
  return [host, boot, pidNamespace, pid, startedAt].join("_");
}

export function parseOwnerKey(key: string): Owner | null {
  const [host, boot, pidNamespace, pid, startedAt, more] = key.split("_");
  if (!host || !boot || !pidNamespace || !startedAt || more !== undefined) return null;
  return /^\d+$/.test(pid ?? "") ? { host, boot, pidNamespace, pid: Number(pid), startedAt } : null;
}

/** True only where it is certain. */
export function isDead(owner: Owner): boolean {
  const here = currentPlace();
  if (owner.host !== here.host) return false;
  if (owner.boot !== here.boot) return true;
  if (owner.pidNamespace !== here.pidNamespace) return false;
  return startOfProcess(owner.pid) !== owner.startedAt;
}

/** True only where it is certain. */
export function isAlive(owner: Owner): boolean {
  const here = currentPlace();
  const isHere = ["host", "boot", "pidNamespace"] as const;
  return (
    isHere.every((part) => owner[part] === here[part]) &&
    startOfProcess(owner.pid) === owner.startedAt
  );
}

function currentPlace() {
  return {
    host: clean(`${read("/etc/machine-id")}-${hostname()}`),
    boot: clean(read("/proc/sys/kernel/random/boot_id") || run("sysctl", "-n", "kern.boottime")),
    pidNamespace: clean(link("/proc/self/ns/pid")),
  };
}

/** Null where there is no such process. */
function startOfProcess(pid: number): string | null {
  if (process.platform !== "linux") {
    return clean(run("ps", "-o", "lstart=", "-p", String(pid))).replace(/^none$/, "") || null;
  }
  const stat = read(`/proc/${pid}/stat`);
  // The second field is the program's name in parentheses, and may hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const isZombie = fields[0] === "Z" || fields[0] === "X";
  return isZombie ? null : (fields[19] ?? null);
}

function clean(text: string): string {
  return (
    text
      .trim()
      .replace(/[^A-Za-z0-9.-]+/g, "-")
      .slice(0, 80) || "none"
  );
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function run(program: string, ...args: string[]): string {
  try {
    return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    return "";
  }
}
