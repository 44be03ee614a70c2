import { homedir } from "node:os";
import { join } from "node:path";

/** What this user's bosses and workers find quicker when they have it, and can do without. */
export function cacheFolder(): string {
  return join(homedir(), ".cache/bettertest");
}
