// How a command gets into a container that has been started without it. The container's first process is a
// shell that reads what to do from its standard input; the command runs as its child, in the environment and
// the directory the container was made with. When it has ended, the shell marks the ends of both outputs.

import { randomBytes } from "node:crypto";
import { markStart } from "./marked-output.js";

export interface Script {
  readonly text: string;
  /** What the marks begin with; see marked-output.ts. */
  readonly mark: Buffer;
}

export interface ScriptOptions {
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
  /** Something was laid over the folder since the shell went there: it is to go there again. */
  readonly folder: string | null;
  readonly shell: string;
}

export function scriptFor({ command, env, folder, shell }: ScriptOptions): Script {
  const token = randomBytes(16).toString("hex");
  const exports = Object.entries(env).map(([name, value]) => `export ${name}=${quoted(value)}\n`);
  // The shell's own remarks, on a child that was killed for instance, are nobody's output. Whether a write was
  // taken is asked since the command may have made the pipe one that refuses when it is full.
  const text = [
    "exec 9>&2 2>/dev/null",
    ...(folder === null ? [] : [`cd ${quoted(folder)} || exit`]),
    `( unset OLDPWD SHLVL\n${exports.join("")}exec ${shell} -c ${quoted(command)} </dev/null 2>&9 9>&- )`,
    "c=$?",
    `until printf '\\377${token}%03d' $c; do sleep 0.02; done`,
    `until printf '\\377${token}%03d' $c >&9; do sleep 0.02; done`,
    "",
  ].join("\n");
  return { text, mark: Buffer.concat([Buffer.from([markStart]), Buffer.from(token)]) };
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Names that a shell cannot export, or that would change how it works. */
const awkward =
  /^(PATH|IFS|ENV|PWD|PPID|UID|EUID|GROUPS|SHELLOPTS|BASH.*|OPT(IND|ARG|ERR)|RANDOM|LINENO|SECONDS|PS\d|_)$/;
const plain = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** What can be told to the shell, and what the container must be made with. */
export function splitEnv(env: Readonly<Record<string, string>> = {}) {
  const told: Record<string, string> = {};
  const madeWith: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    const byShell = plain.test(name) && !awkward.test(name);
    (byShell ? told : madeWith)[name] = value;
  }
  return { told, madeWith };
}
