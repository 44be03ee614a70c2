// Where a boss or worker keeps what outlives it, unless --data says otherwise.

import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { accessPaths } from "../access/access-paths.js";
import { readTokenFile } from "../access/token-file.js";
import { listenersOn } from "../lib/listeners.js";
import { cacheFolder } from "./cache-folder.js";

/**
 * A folder for each port: servers that run side by side need one each, and one that is started again finds
 * its own.
 */
export function dataFolder(
  role: "boss" | "worker",
  { data, port }: { readonly data?: string | undefined; readonly port: number },
): string {
  if (data !== undefined) return resolve(data);
  return join(homedir(), ".local/share/bettertest", `${role}-${port}`);
}

/** Where a worker keeps the sources it was sent, for the next one too. */
export function sourcesFolder(data: string | undefined): string {
  return data === undefined ? join(cacheFolder(), "sources") : join(resolve(data), "sources");
}

/**
 * The token of this user's own server on that port; undefined where there is none to be read, or the server
 * is not this user's: while one is down, anybody on this machine may take its port, and wait for the token.
 */
export function localToken(role: "boss" | "worker", port: number): string | undefined {
  const paths = accessPaths(dataFolder(role, { port }));
  const path = role === "boss" ? paths.token : paths.workerToken;
  // Asked for each request, and an error costs more than a look.
  if (!existsSync(path)) return undefined;
  try {
    const token = readTokenFile(path);
    return isOwnServer(port) ? token : undefined;
  } catch {
    return undefined;
  }
}

/** Where the system does not say whose it is, it is believed to be. */
function isOwnServer(port: number): boolean {
  const listeners = listenersOn(port);
  if (listeners === null) return true;
  return listeners.length > 0 && listeners.every(({ uid }) => uid === process.getuid?.());
}
