// What git says of a working tree: which files belong to it, and which commit it stands on.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { gitEnv } from "./git-env.js";

/** Untracked and not ignored. Byte strings, relative to the folder asked for; those that end in / are repos of their own. */
export type Untracked = readonly string[];

export interface GitStatus {
  readonly untracked: Untracked;
  /** Null before the first commit. */
  readonly commit: string | null;
  /** Null where none is checked out. */
  readonly branch: string | null;
  /** Differs from the commit: changed, added, deleted, or untracked and not ignored. What is in a submodule does not count here. */
  readonly dirty: boolean;
}

const largestListBytes = 2 ** 30;

/** There is a `.git`, and what it names is no repo. */
class LostRepo extends Error {}

/**
 * `only`: of these tracked files alone, and of nothing untracked. Null: the folder belongs to no repo, or there is no
 * git.
 */
export async function gitStatus(
  folder: string,
  only?: readonly string[],
): Promise<GitStatus | null> {
  // One walk tells both what is untracked and whether anything differs.
  const status = await git(folder, [
    "--literal-pathspecs",
    "status",
    "-z",
    "--porcelain=v2",
    "--branch",
    `--untracked-files=${only ? "no" : "all"}`,
    "--no-renames",
    // They are asked by themselves; one that is broken would end this.
    "--ignore-submodules=dirty",
    "--",
    ...(only ? pathspecsOf(only) : ["."]),
  ]);
  if (status === null) return null;
  const prefix = await prefixOf(folder, status);
  const untracked: string[] = [];
  let commit: string | null = null;
  let branch: string | null = null;
  let dirty = false;
  for (const line of status.split("\0")) {
    if (line.startsWith("# branch.oid ")) commit = known(line.slice(13), "(initial)");
    else if (line.startsWith("# branch.head ")) branch = known(line.slice(14), "(detached)");
    else if (line !== "" && !line.startsWith("# ")) {
      dirty = true;
      // Told from the top of the repo, wherever that is.
      if (line.startsWith("? ")) untracked.push(line.slice(2 + prefix.length));
    }
  }
  return { untracked, commit, branch, dirty };
}

/** Some may not be there any more; folders are repos of their own. Null: the folder belongs to no repo, or there is no git. */
export async function trackedByGit(folder: string): Promise<readonly string[] | null> {
  const listed = await git(folder, ["ls-files", "-z", "--cached"]);
  return listed === null ? null : [...new Set(listed.split("\0").slice(0, -1))];
}

/** Null: the folder is not the top of a repo, whatever `.git` is in it. */
export async function listOfRepo(
  folder: string,
): Promise<{ readonly paths: readonly string[]; readonly dirty: boolean } | null> {
  try {
    const [prefix, status, tracked] = await Promise.all([
      git(folder, ["rev-parse", "--show-prefix"]),
      gitStatus(folder),
      trackedByGit(folder),
    ]);
    // Git passes over a `.git` that holds nothing, and finds the repo around it.
    if (prefix?.trimEnd() !== "" || !status || !tracked) return null;
    return { paths: [...tracked, ...status.untracked], dirty: status.dirty };
  } catch (error) {
    if (error instanceof LostRepo || !existsSync(folder)) return null;
    throw error;
  }
}

/** Null: the folder belongs to no repo, or there is no git. */
export async function untrackedByGit(
  folder: string,
  env?: NodeJS.ProcessEnv,
): Promise<Untracked | null> {
  const listed = await git(folder, ["ls-files", "-z", "--others", "--exclude-standard"], env);
  return listed?.split("\0").slice(0, -1) ?? null;
}

/** All that the repo would not ignore if it tracked nothing, so that no folder is a submodule to it. */
export async function listUntracked(folder: string): Promise<Untracked> {
  return (await untrackedByGit(folder, { GIT_INDEX_FILE: "/nonexistent/index" })) ?? [];
}

/** Whether the index holds just what that commit does. */
export async function isCommitted(folder: string, commit: string): Promise<boolean> {
  const staged = ["diff-index", "-z", "--cached", "--raw", "--no-renames", commit, "--"];
  return (await git(folder, staged)) === "";
}

/**
 * Tracked files that do not look as the index says, whatever is in them. Git looks at their times, sizes, inodes and
 * kinds, and by these settings at all of that. Null: it cannot tell.
 */
export async function touchedSinceIndex(
  folder: string,
  gitFolder: string,
): Promise<ReadonlySet<string> | null> {
  const strict = ["core.trustctime=true", "core.checkStat=default", "core.fsmonitor=false"];
  const listed = await git(folder, [
    ...strict.flatMap((setting) => ["-c", setting]),
    // Whichever repo git finds by itself: the index is that of this one.
    `--git-dir=${gitFolder}`,
    `--work-tree=${folder}`,
    "diff-files",
    "-z",
    "--raw",
    "--no-renames",
    "--ignore-submodules=dirty",
  ]).catch(() => null);
  if (listed === null) return null;
  return new Set(listed.split("\0").filter((_, index) => index % 2 === 1));
}

const mostPathspecs = 256;

/** Arguments are texts, and names of files are bytes. */
function pathspecsOf(paths: readonly string[]): readonly string[] {
  // Git's own folder: nothing in it is ever tracked.
  if (paths.length === 0) return [".git"];
  const bytes = paths.slice(0, mostPathspecs).map((path) => Buffer.from(path, "latin1"));
  const isPassable =
    paths.length <= mostPathspecs &&
    bytes.every((path) => Buffer.from(path.toString()).equals(path));
  return isPassable ? bytes.map(String) : ["."];
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
function git(
  folder: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<string | null> {
  return new Promise((resolve, reject) => {
    execFile(
      "git",
      ["-c", "core.quotePath=false", ...args],
      {
        cwd: folder,
        encoding: "latin1",
        maxBuffer: largestListBytes,
        env: { ...gitEnv(folder), LC_ALL: "C", ...env },
      },
      (error, stdout, stderr) => {
        if (!error) resolve(stdout);
        else if (noRepo.test(stderr)) resolve(null);
        // So it is, too, where there is no such folder.
        else if (error.code === "ENOENT" && existsSync(folder)) resolve(null);
        else reject(faultOf(folder, stderr.trim() || error.message));
      },
    );
  });
}

const noRepo = /not a git repository \(or any|must be run in a work tree/;

function faultOf(folder: string, said: string): Error {
  const message = `git cannot list the files of ${folder}: ${said}`;
  if (!said.includes("not a git repository: ")) return new Error(message);
  return new LostRepo(
    `${message}. Bring that folder back, or remove the .git that names it: then every file counts, also those it ignores`,
  );
}
