// Where a boss or worker keeps what outlives it, unless --data says otherwise.

import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { readTokenFile } from "../access/token-file.js";
import { accessPaths } from "../access/token-folder.js";

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

/** The token of this user's own server on that port; undefined where there is none to be read. */
export function localToken(role: "boss" | "worker", port: number): string | undefined {
  const paths = accessPaths(dataFolder(role, { port }));
  try {
    return readTokenFile(role === "boss" ? paths.token : paths.workerToken);
  } catch {
    return undefined;
  }
}
