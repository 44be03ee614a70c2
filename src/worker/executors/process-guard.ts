// Keeps the promise that no command outlives its worker, also when that is killed without a word: a small
// shell reads the numbers of the process groups that run, and when its pipe ends it kills those left.

import { spawn } from "node:child_process";

export interface ProcessGuard {
  add(group: number): void;
  remove(group: number): void;
  close(): void;
}

const script = `
groups=" "
while read -r what group; do
  case $what in
    add) groups="$groups$group " ;;
    remove) case $groups in *" $group "*) groups="\${groups%% $group *} \${groups#* $group }" ;; esac ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
`;

export function startProcessGuard(): ProcessGuard {
  const guard = spawn("/bin/sh", ["-c", script, "bettertest-process-guard"], {
    // Out of the terminal's group: a Ctrl-C is for the worker, which then ends its guard.
    detached: true,
    cwd: "/",
    stdio: ["pipe", "ignore", "ignore"],
  });
  guard.unref();
  guard.on("error", () => {});
  guard.stdin.on("error", () => {});
  return {
    add: (group) => void guard.stdin.write(`add ${group}\n`),
    remove: (group) => void guard.stdin.write(`remove ${group}\n`),
    close: () => void guard.stdin.end(),
  };
}
