// What git says of a working tree: which files belong to it, and which commit it stands on.

import { execFile } from "node:child_process";

export interface GitListing {
  /** Byte strings, relative to the folder asked for. Some may not be there any more; folders are repos of their own. */
  readonly paths: readonly string[];
  /** Null before the first commit. */
  readonly commit: string | null;
  /** Null where none is checked out. */
  readonly branch: string | null;
  /** Differs from the commit: changed, added, deleted, or untracked and not ignored. */
  readonly dirty: boolean;
}

const largestListBytes = 2 ** 30;

/** Null: the folder belongs to no repo, or there is no git. */
export async function listWithGit(folder: string): Promise<GitListing | null> {
  const [tracked, status] = await Promise.all([
    git(folder, ["ls-files", "-z", "--cached"]),
    // One walk tells both what is untracked and whether anything differs.
    git(folder, [
      "status",
      "-z",
      "--porcelain=v2",
      "--branch",
      "--untracked-files=all",
      "--no-renames",
      ".",
    ]),
  ]);
  if (tracked === null || status === null) return null;
  const prefix = await prefixOf(folder, status);
  const paths = new Set(tracked.split("\0"));
  paths.delete("");
  let commit: string | null = null;
  let branch: string | null = null;
  let dirty = false;
  for (const line of status.split("\0")) {
    if (line.startsWith("# branch.oid ")) commit = known(line.slice(13), "(initial)");
    else if (line.startsWith("# branch.head ")) branch = known(line.slice(14), "(detached)");
    else if (line !== "" && !line.startsWith("# ")) {
      dirty = true;
      // Told from the top of the repo, wherever that is.
      if (line.startsWith("? ")) paths.add(line.slice(2 + prefix.length));
    }
  }
  return { paths: [...paths], commit, branch, dirty };
}

/** Of paths in a status, that part which leads from the top of the repo to the folder. */
async function prefixOf(folder: string, status: string): Promise<string> {
  if (!status.includes("\0? ") && !status.startsWith("? ")) return "";
  return ((await git(folder, ["rev-parse", "--show-prefix"])) ?? "").trimEnd();
}

function known(text: string, unknown: string): string | null {
  return text === unknown ? null : text;
}

/** Null: no repo, no git. Rejects with git's words where it finds something else wrong. */
function git(folder: string, args: readonly string[]): Promise<string | null> {
  return new Promise((resolve, reject) => {
    execFile(
      "git",
      ["-c", "core.quotePath=false", ...args],
      {
        cwd: folder,
        encoding: "latin1",
        maxBuffer: largestListBytes,
        // A status may want to write the index; whoever works in the repo must not find it locked.
        env: { ...process.env, GIT_OPTIONAL_LOCKS: "0", LC_ALL: "C" },
      },
      (error, stdout, stderr) => {
        if (!error) resolve(stdout);
        else if (
          error.code === "ENOENT" ||
          /not a git repository|must be run in a work tree/.test(stderr)
        )
          resolve(null);
        else
          reject(
            new Error(`git cannot list the files of ${folder}: ${stderr.trim() || error.message}`),
          );
      },
    );
  });
}
