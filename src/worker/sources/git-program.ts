// Git as a program that is given words of strangers: nothing that they say is an option, starts another program,
// reads what lies on this machine, or asks somebody for a password.

import { execFile } from "node:child_process";

/** Others start programs, or read what lies on this machine. */
const protocols = "https:http:ssh:git";

/** What it printed. Rejects with the end of what it had to say. */
export function git(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      // The list of all files of a repo is the longest of what it says.
      maxBuffer: 256 * 2 ** 20,
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        SSH_AUTH_SOCK: process.env.SSH_AUTH_SOCK,
        LC_ALL: "C",
        // Nobody is here to type a password.
        GIT_TERMINAL_PROMPT: "0",
        GIT_ASKPASS: "true",
        GIT_SSH_COMMAND: "ssh -o BatchMode=yes",
        GIT_ALLOW_PROTOCOL: protocols,
        ...env,
      },
    };
    execFile("git", [...args], options, (error, stdout, stderr) => {
      if (!error) resolve(stdout);
      else if (error.code === "ENOENT") reject(new Error("there is no git on the worker"));
      else
        reject(
          new Error(
            withoutPassword(stderr.trim().split("\n").slice(-3).join(" ") || error.message),
          ),
        );
    });
  });
}

/** Of each `https://user:password@host/`, what may be printed. */
export function withoutPassword(text: string): string {
  return text.replace(/\b([a-z+]+:\/\/)[^/@\s]*@/g, "$1");
}
