// Keeps the promise that no container outlives its worker, also when that is killed, or ended by a second
// Ctrl-C: a small shell waits for a word that all is in order. When its pipe ends without one, it becomes a
// program that removes what is left. Where the two die together, the next worker's start does it.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface DockerGuard {
  /** The worker's own end of it all; nothing is left. */
  close(): void;
}

const script = `
read -r word
[ "$word" = done ] || exec "$@"
`;
const cleaner = fileURLToPath(new URL("./docker-cleaner.js", import.meta.url));

/** `owner` is this very process; `dockerHost` as the executor's. */
export function startDockerGuard(owner: string, dockerHost: string | undefined): DockerGuard {
  const where = dockerHost === undefined ? [] : [dockerHost];
  const guard = spawn(
    "/bin/sh",
    ["-c", script, "bettertest-docker-guard", process.execPath, cleaner, owner, ...where],
    {
      // Out of the terminal's group: a Ctrl-C is for the worker, which then ends its guard.
      detached: true,
      cwd: "/",
      stdio: ["pipe", "ignore", "ignore"],
    },
  );
  guard.unref();
  guard.on("error", () => {});
  guard.stdin.on("error", () => {});
  return { close: () => void guard.stdin.end("done\n") };
}
