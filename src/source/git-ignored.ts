// Which paths git leaves out, asked for many at once.

import { spawn } from "node:child_process";
import { gitEnv } from "./git-env.js";
import { pathBytes } from "./manifest.js";

/** Of the paths, byte strings relative to the folder, those that git ignores. Where git has no answer: none. */
export function ignoredByGit(folder: string, paths: readonly string[]): Promise<Set<string>> {
  if (paths.length === 0) return Promise.resolve(new Set());
  return new Promise((resolve) => {
    const git = spawn("git", ["check-ignore", "-z", "--stdin"], {
      cwd: folder,
      stdio: ["pipe", "pipe", "ignore"],
      env: gitEnv(folder),
    });
    let told = "";
    git.stdout.setEncoding("latin1").on("data", (text: string) => {
      told += text;
    });
    git.on("error", () => resolve(new Set()));
    git.on("close", () => resolve(new Set(told.split("\0").slice(0, -1))));
    // It ends early where the folder belongs to no repo.
    git.stdin.on("error", () => {});
    git.stdin.end(Buffer.from(paths.map((path) => `${path}\0`).join(""), "latin1"));
  });
}

/** Where git keeps its own of a working tree; null where there is no git. */
export function gitFolder(folder: string): Promise<string | null> {
  return new Promise((resolve) => {
    const git = spawn("git", ["rev-parse", "--absolute-git-dir"], {
      cwd: pathBytes(folder, "").toString(),
      stdio: ["ignore", "pipe", "ignore"],
      env: gitEnv(folder),
    });
    let told = "";
    git.stdout.setEncoding("utf8").on("data", (text: string) => {
      told += text;
    });
    git.on("error", () => resolve(null));
    git.on("close", (code) => resolve(code === 0 ? told.replace(/\n$/, "") : null));
  });
}
