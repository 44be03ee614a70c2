import { execFile } from "node:child_process";
import { type Finding, ok, warning, wrong } from "./check.js";

export function nodeFinding(version = process.versions.node): Finding {
  if (isAtLeast(version, [20, 19])) return ok("node", version);
  return wrong("node", `${version}, needs 20.19 or newer`, "https://nodejs.org/en/download");
}

export async function pythonFinding(): Promise<Finding> {
  const version = await versionOf("python3", [
    "-c",
    "import sys; print('%d.%d.%d' % sys.version_info[:3])",
  ]);
  if (version === null) {
    return warning(
      "python3",
      "not found",
      "Needed for pipedef.py only: install Python 3.9 or newer",
    );
  }
  if (isAtLeast(version, [3, 9])) return ok("python3", version);
  return warning("python3", `${version}, needs 3.9 or newer`, "Needed for pipedef.py only");
}

export async function gitFinding(): Promise<Finding> {
  const words = await versionOf("git", ["--version"]);
  const version = words?.replace(/^git version /, "");
  return version ? ok("git", version) : warning("git", "not found", "Install git");
}

function versionOf(program: string, args: readonly string[]): Promise<string | null> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: 10_000 }, (error, stdout) => {
      resolve(error ? null : stdout.trim());
    });
  });
}

export function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [hasMajor = 0, hasMinor = 0] = version.split(".").map(Number);
  return hasMajor > major || (hasMajor === major && hasMinor >= minor);
}
