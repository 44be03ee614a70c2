// The built program on a real pseudo terminal.

import { onPty, type PtyOptions, type PtySession } from "../rig/pty.js";
import { program } from "./rig.js";

export const ctrlC = "\u0003";

export function onTerminal(args: readonly string[], options: PtyOptions): PtySession {
  return onPty([process.execPath, program, ...args], options);
}
