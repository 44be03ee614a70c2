// Who has a port, as far as this system tells.

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { connect } from "node:net";
import { listenersOn } from "../lib/listeners.js";

export interface PortUse {
  /** "node (pid 4711)"; null where it belongs to somebody else or the system does not say. */
  readonly owner: string | null;
  /** What answers there is of our kind: its /health says ok. */
  readonly isBettertest: boolean;
}

/** Null: nobody listens there. */
export async function portUse(port: number, host = "127.0.0.1"): Promise<PortUse | null> {
  if (!(await isListening(port, host))) return null;
  return { owner: findOwner(port), isBettertest: await saysOk(port, host) };
}

function isListening(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host, timeout: 2000 });
    const answer = (listening: boolean) => {
      socket.destroy();
      resolve(listening);
    };
    socket.once("connect", () => answer(true));
    socket.once("timeout", () => answer(true));
    socket.once("error", () => answer(false));
  });
}

async function saysOk(port: number, host: string): Promise<boolean> {
  const name = host.includes(":") ? `[${host}]` : host;
  try {
    const response = await fetch(`http://${name}:${port}/health`, {
      signal: AbortSignal.timeout(2000),
    });
    return response.ok && (await response.text()) === "ok\n";
  } catch {
    return false;
  }
}

/** Linux says it in /proc; elsewhere nobody is asked. */
function findOwner(port: number): string | null {
  try {
    const inodes = new Set(listenersOn(port)?.map(({ inode }) => inode));
    if (inodes.size === 0) return null;
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      if (hasSocket(pid, inodes)) {
        const program = readFileSync(`/proc/${pid}/comm`, "utf8").trim();
        return `${program} (pid ${pid})`;
      }
    }
  } catch {
    // Not Linux, or not allowed.
  }
  return null;
}

function hasSocket(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1];
      return inode !== undefined && inodes.has(inode);
    });
  } catch {
    return false;
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
