// Somebody's project as its authors have published it, tests and all, from the registry that npm is set to.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface NpmProject extends Disposable {
  /** A git repo with one commit. */
  readonly folder: string;
  git(...args: readonly string[]): string;
}

/** The project of `name@version`, or why there is none: to be given to a test's `skip`. */
export function npmProject(spec: string): NpmProject | string {
  const scratch = mkdtempSync(join(tmpdir(), "bettertest-npm-"));
  const remove = () => rmSync(scratch, { recursive: true, force: true });
  // From the folder that the tests run in: a repo's own .npmrc counts as well.
  const args = ["pack", spec, "--pack-destination", scratch, "--ignore-scripts"];
  const packed = spawnSync("npm", args, { encoding: "utf8", timeout: 120_000 });
  const [archive] = readdirSync(scratch);
  if (packed.status !== 0 || archive === undefined) {
    remove();
    return `npm cannot fetch ${spec}: ${packed.error?.message ?? packed.stderr.trim()}`;
  }
  execFileSync("tar", ["-xzf", archive], { cwd: scratch });
  const folder = join(scratch, "project");
  renameSync(join(scratch, "package"), folder);
  const git = (...words: readonly string[]) => {
    const who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"];
    return execFileSync("git", [...who, ...words], { cwd: folder, encoding: "utf8" }).trim();
  };
  git("init", "-q", "-b", "main");
  git("add", "-A");
  git("commit", "-q", "-m", spec);
  return { folder, git, [Symbol.dispose]: remove };
}
