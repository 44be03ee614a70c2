// What a repo says about itself: languages, and how each is built and tested.

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";

export type EcosystemName = "node" | "python" | "go" | "rust" | "make";

export interface Ecosystem {
  readonly name: EcosystemName;
  /** The file that told. */
  readonly because: string;
  /** Lines of a Dockerfile, from FROM to the copied repo. */
  readonly docker: readonly string[];
  readonly checks: readonly Step[];
  readonly tests: readonly Step[];
  /** One task for each file that matches, where there are several. */
  readonly perFile?: PerFile;
}

export interface Step {
  readonly task: string;
  readonly command: string;
}

export interface PerFile {
  readonly glob: string;
  /** Holds FILE in place of the path. */
  readonly command: string;
}

export interface Repo {
  readonly folder: string;
  /** Fit for the name of an image. */
  readonly name: string;
  readonly ecosystems: readonly Ecosystem[];
}

export interface RepoFiles {
  has(name: string): boolean;
  read(name: string): string;
  /** Paths, relative, of files whose name matches, outside of folders that hold other people's code. */
  find(pattern: RegExp): readonly string[];
}

const notOurs = new Set([
  "node_modules",
  "vendor",
  "target",
  "dist",
  "build",
  "venv",
  "__pycache__",
]);
const mostFiles = 20_000;

export function openRepoFiles(folder: string): RepoFiles {
  let all: string[] | null = null;
  return {
    has: (name) => existsSync(join(folder, name)),
    read: (name) => {
      try {
        return readFileSync(join(folder, name), "utf8");
      } catch {
        return "";
      }
    },
    find: (pattern) => {
      all ??= listFiles(folder);
      return all.filter((path) => pattern.test(path));
    },
  };
}

function listFiles(folder: string): string[] {
  const found: string[] = [];
  const open = [""];
  for (let at = open.shift(); at !== undefined && found.length < mostFiles; at = open.shift()) {
    for (const entry of readdirSync(join(folder, at), { withFileTypes: true })) {
      const path = at === "" ? entry.name : `${at}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!entry.name.startsWith(".") && !notOurs.has(entry.name)) open.push(path);
      } else if (entry.isFile()) found.push(path);
    }
  }
  return found;
}

/** The folder's name as Docker takes it: small letters, digits, single separators. */
export function imageName(folder: string): string {
  const name = basename(resolve(folder))
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  return name || "project";
}

export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
