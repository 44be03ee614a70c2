// Which python3 runs the pipedefs. Asked once for each place it could come from, since a shim such as pyenv's
// takes longer to find its interpreter than that interpreter takes to start.

import { execFile } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { PipedefProblem } from "../host.js";

export type Interpreter =
  | { readonly ok: true; readonly path: string; readonly version: string }
  | { readonly ok: false; readonly problem: PipedefProblem };

export const oldestPython = [3, 9] as const;

const installHint =
  "Try: apt install python3 (Debian, Ubuntu), dnf install python3 (Fedora), brew install python (macOS)." +
  " Pipedefs in TypeScript need no Python";

const known = new Map<string, Promise<Interpreter>>();

export function findInterpreter(
  cwd: string,
  searchPath = process.env.PATH ?? "",
): Promise<Interpreter> {
  const python = findOnPath("python3", searchPath);
  if (!python) {
    return Promise.resolve(
      noInterpreter("there is no python3 on this machine's PATH, and a .py pipedef needs it"),
    );
  }
  // A shim may choose by folder, and an upgrade replaces the file.
  const key = [python, statSync(python).mtimeMs, cwd].join("\0");
  let found = known.get(key);
  if (!found) {
    found = ask(python, cwd);
    known.set(key, found);
    found.then((answer) => {
      if (!answer.ok) known.delete(key);
    });
  }
  return found;
}

function findOnPath(name: string, searchPath: string): string | undefined {
  return searchPath
    .split(delimiter)
    .filter((folder) => folder.startsWith("/"))
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return statSync(file).isFile();
      } catch {
        return false;
      }
    });
}

function ask(python: string, cwd: string): Promise<Interpreter> {
  const question = "import sys; print(sys.executable); print('%d.%d.%d' % sys.version_info[:3])";
  return new Promise((resolve) => {
    execFile(python, ["-c", question], { cwd, timeout: 30_000 }, (error, stdout, stderr) => {
      const [path, version] = stdout.trim().split("\n");
      if (error || !path || !version) {
        const words = stderr.trim() || error?.message || "no answer";
        resolve(noInterpreter(`${python} does not work: ${words}`));
      } else if (isTooOld(version)) {
        const wanted = oldestPython.join(".");
        resolve(
          noInterpreter(`${python} is Python ${version}; a .py pipedef needs ${wanted} or newer`),
        );
      } else {
        resolve({ ok: true, path, version });
      }
    });
  });
}

function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major < oldestPython[0] || (major === oldestPython[0] && minor < oldestPython[1]);
}

function noInterpreter(message: string): Interpreter {
  return { ok: false, problem: { kind: "host", message, hint: installHint } };
}
