// Who listens on a port of this machine, as far as the system tells: Linux does, in /proc.

import { readFileSync } from "node:fs";

export interface Listener {
  readonly inode: string;
  /** Of the user whose program it is. */
  readonly uid: number;
}

const listening = "0A";

/** Null: this system does not say. */
export function listenersOn(port: number): Listener[] | null {
  const address = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const tables = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((file) => {
    try {
      return [readFileSync(file, "utf8")];
    } catch {
      return [];
    }
  });
  if (tables.length === 0) return null;
  return (
    tables
      .flatMap((table) => table.split("\n"))
      // A machine may have thousands of connections, and this is asked for each request to a worker of it.
      .filter((line) => line.includes(address))
      .map((line) => line.trim().split(/\s+/))
      .filter((columns) => columns[1]?.endsWith(address) && columns[3] === listening)
      .map((columns) => ({ inode: columns[9] ?? "", uid: Number(columns[7]) }))
  );
}
