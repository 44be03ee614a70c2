// The terminal this program was called from, lent to a program elsewhere, and given back as it was: at the end, on
// a signal, and where this process is killed.

import { spawn, spawnSync } from "node:child_process";

export interface BorrowedTerminal {
  /** `isBroken`: the program elsewhere did not end, and cannot have tidied up. Safe to call twice. */
  giveBack(options: { readonly isBroken: boolean }): void;
}

/** Out of the second screen, cursor shown, no mouse, no marks around what is pasted, plain colors. */
const tidy =
  "\u001b[?1049l\u001b[?25h\u001b[?1000l\u001b[?1002l\u001b[?1003l\u001b[?1006l\u001b[?2004l\u001b[?1l\u001b>\u001b[0m\r\n";

export function borrowTerminal(): BorrowedTerminal {
  const { stdin, stdout } = process;
  const guard = startGuard();
  let given = false;
  const giveBack = ({ isBroken }: { readonly isBroken: boolean }) => {
    if (given) return;
    given = true;
    process.off("exit", onExit);
    try {
      if (isBroken) stdout.write(tidy);
      stdin.setRawMode(false);
    } catch {
      // The terminal itself is gone.
    }
    guard.close();
  };
  const onExit = () => giveBack({ isBroken: true });
  process.on("exit", onExit);
  stdin.setRawMode(true);
  // Node still turns line feeds into two characters, and the terminal elsewhere has done so already.
  spawnSync("stty", ["-opost"], { stdio: ["inherit", "ignore", "ignore"] });
  return { giveBack };
}

/**
 * A small shell that sets the terminal right when this process ends without a word. It may do so from the
 * background only where it ignores the signal that forbids it.
 */
function startGuard(): { close(): void } {
  const { stdout: saved, status } = spawnSync("stty", ["-g"], {
    stdio: ["inherit", "pipe", "ignore"],
    encoding: "utf8",
  });
  if (status !== 0) return { close() {} };
  const script = `trap '' INT TERM HUP TTOU QUIT; read -r word <&3; [ "$word" = done ] || { printf '${escaped(tidy)}'; stty "$0"; }`;
  const guard = spawn("/bin/sh", ["-c", script, saved.trim()], {
    stdio: ["inherit", "inherit", "ignore", "pipe"],
  });
  guard.unref();
  guard.on("error", () => {});
  const word = guard.stdio[3];
  if (!word || !("write" in word)) return { close() {} };
  word.on("error", () => {});
  if ("unref" in word && typeof word.unref === "function") word.unref();
  return { close: () => void word.end("done\n") };
}

function escaped(text: string): string {
  return text.replaceAll("\u001b", "\\033").replaceAll("\r", "\\r").replaceAll("\n", "\\n");
}
