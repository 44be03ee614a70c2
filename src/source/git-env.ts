// What git is told where it is started for a folder.

import { closeSync, constants, openSync, realpathSync } from "node:fs";
import { resolve } from "node:path";

/**
 * `git rev-parse --local-env-vars`: they say which repo is meant. A git hook has them, of its own repo. Without those of
 * configuration, which git itself leaves to submodules: a machine may say by them whose repos are safe.
 */
export const localVariables = [
  "GIT_ALTERNATE_OBJECT_DIRECTORIES",
  "GIT_CONFIG",
  "GIT_OBJECT_DIRECTORY",
  "GIT_DIR",
  "GIT_WORK_TREE",
  "GIT_IMPLICIT_WORK_TREE",
  "GIT_GRAFT_FILE",
  "GIT_INDEX_FILE",
  "GIT_NO_REPLACE_OBJECTS",
  "GIT_REPLACE_REF_BASE",
  "GIT_PREFIX",
  "GIT_INTERNAL_SUPER_PREFIX",
  "GIT_SHALLOW_FILE",
  "GIT_COMMON_DIR",
] as const;

/**
 * Node starts programs in folders whose path is a text, and names of files are bytes. Of one that is open Linux has a
 * name that is a text in any case; elsewhere file systems take none but texts.
 */
export async function inFolder<T>(path: Buffer, use: (folder: string) => Promise<T>): Promise<T> {
  const text = path.toString();
  if (Buffer.from(text).equals(path)) return use(text);
  const folder = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return await use(`/proc/self/fd/${folder}`);
  } finally {
    closeSync(folder);
  }
}

/** The repo is the one that the folder lies in, unless one was named for just this working tree. */
export function gitEnv(folder: string): NodeJS.ProcessEnv {
  const env = { ...process.env };
  for (const name of localVariables) delete env[name];
  // A status may want to write the index; whoever works in the repo must not find it locked.
  return { ...env, ...namedRepo(folder), GIT_OPTIONAL_LOCKS: "0" };
}

/** As `git --git-dir=... --work-tree=...` tells its hooks. The index is always the one of the working tree. */
export function namedRepo(folder: string): NodeJS.ProcessEnv | null {
  const { GIT_DIR, GIT_WORK_TREE } = process.env;
  if (!GIT_DIR || !GIT_WORK_TREE || !isSame(GIT_WORK_TREE, folder)) return null;
  return { GIT_DIR: resolve(GIT_DIR), GIT_WORK_TREE: resolve(GIT_WORK_TREE) };
}

function isSame(a: string, b: string): boolean {
  try {
    return realpathSync(a) === realpathSync(b);
  } catch {
    return false;
  }
}
