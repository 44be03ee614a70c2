// Git as a program that is given words of strangers: nothing that they say is an option, starts another program,
// reads what lies on this machine, or asks somebody for a password.

import { spawn } from "node:child_process";
import { codeOf } from "../../lib/code-of.js";
import { killGroup } from "../../lib/kill-group.js";
import { onAbort } from "../../lib/on-abort.js";

/** Others start programs, or read what lies on this machine. */
const protocols = "https:http:ssh:git";
/** The list of all files of a repo is the longest of what it says. */
const mostPrinted = 256 * 2 ** 20;
const mostComplaints = 64 * 1024;
/** From SIGTERM, at which git removes its locks, to SIGKILL. */
const graceMs = 5_000;

/** What it printed. Rejects with the end of what it had to say; where the signal is aborted with its reason, and it has ended. */
export async function git(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  signal: AbortSignal = AbortSignal.any([]),
): Promise<string> {
  signal.throwIfAborted();
  const child = spawn("git", [...args], {
    stdio: ["ignore", "pipe", "pipe"],
    // A group of its own: what git starts to speak to a server outlives git otherwise.
    detached: true,
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      SSH_AUTH_SOCK: process.env.SSH_AUTH_SOCK,
      LC_ALL: "C",
      // Nobody is here to type a password.
      GIT_TERMINAL_PROMPT: "0",
      GIT_ASKPASS: "true",
      // One that says nothing any more is left, after two minutes.
      GIT_SSH_COMMAND:
        "ssh -o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=30 -o ServerAliveCountMax=4",
      GIT_ALLOW_PROTOCOL: protocols,
      ...env,
    },
  });
  const end = (name: NodeJS.Signals) => killGroup(child.pid, name);
  let timer: NodeJS.Timeout | undefined;
  const leave = onAbort(signal, () => {
    end("SIGTERM");
    timer = setTimeout(end, graceMs, "SIGKILL");
  });
  const printed: Buffer[] = [];
  let bytes = 0;
  child.stdout.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > mostPrinted) end("SIGKILL");
    else printed.push(chunk);
  });
  let complaints = "";
  child.stderr.on("data", (chunk: Buffer) => {
    complaints = (complaints + chunk).slice(-mostComplaints);
  });
  try {
    const code = await new Promise<number | string | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (exitCode, name) => resolve(exitCode ?? name));
    });
    signal.throwIfAborted();
    if (bytes > mostPrinted) throw new Error(`it prints more than ${mostPrinted} bytes`);
    if (code === 0) return Buffer.concat(printed).toString();
    const words = complaints.trim().split("\n").slice(-3).join(" ");
    throw new Error(withoutPassword(words || `git ${args.join(" ")} ended with ${code}`));
  } catch (error) {
    throw codeOf(error) === "ENOENT" ? new Error("there is no git on the worker") : error;
  } finally {
    leave();
    clearTimeout(timer);
  }
}

/** Of each `https://user:password@host/`, what may be printed. */
export function withoutPassword(text: string): string {
  return text.replace(/\b([a-z+]+:\/\/)[^/@\s]*@/g, "$1");
}
