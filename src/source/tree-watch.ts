// Says when a working tree may have changed, by file system events. Whether it has is for a scan to say; here it
// matters only that no change goes unheard, and that what git ignores wakes nobody.

import { existsSync, type FSWatcher, lstatSync, readdirSync, readFileSync, watch } from "node:fs";
import { basename, dirname, join } from "node:path";
import { Bell } from "../lib/bell.js";
import { codeOf } from "../lib/code-of.js";
import { inFolder } from "./git-env.js";
import { gitFolder, ignoredByGit } from "./git-ignored.js";
import type { Ignore } from "./ignore.js";
import { type Manifest, pathBytes } from "./manifest.js";
import { ignoreFile, readIgnore } from "./scan.js";
import { statOf } from "./walk.js";

/** Editors save in several steps, and tools many files; so long nothing has happened when they are done. */
const quietMs = 20;
/** Something that never stops writing must not hide what a person does. */
const longestMs = 2_000;
const sliceMs = 12;
/** Of so many events at once the kernel may have dropped some. */
const manyEvents = 4_000;
const mostJudged = 50_000;

export interface TreeWatchOptions {
  /** Not all of the tree can be watched: in words, with what to do about it. */
  readonly onTrouble: (message: string) => void;
}

interface WatchedFolder {
  readonly watcher: FSWatcher;
  readonly inode: number;
}

/** Order: know, at once and after each scan; close, always. */
export class TreeWatch {
  readonly #root: string;
  readonly #options: TreeWatchOptions;
  readonly #bell = new Bell();
  #version = 0;
  readonly #folders = new Map<string, WatchedFolder>();
  readonly #beside = new Map<string, FSWatcher>();
  #besideFiles = new Set<string>();
  #besideChanged = false;
  /** Paths of the last scan. */
  #known: ReadonlySet<string> = new Set();
  #hasGit = true;
  #ignore: Ignore;
  /** What git said, until an ignore file changes. */
  readonly #judged = new Map<string, boolean>();
  readonly #asked = new Set<string>();
  #judging: Promise<void> | null = null;
  #lock: string | null = null;
  #timer: NodeJS.Timeout | undefined;
  #firstAt: number | null = null;
  #lastAt = 0;
  #events = 0;
  #isFull = false;
  #closed = false;

  constructor(root: string, options: TreeWatchOptions) {
    this.#root = root;
    this.#options = options;
    this.#ignore = readIgnore(root);
  }

  /**
   * What the tree holds by now, and further files that count wherever they are. Resolves when all its folders are
   * watched; those that appear are, from then on.
   */
  async know(
    manifest: Manifest,
    { hasGit, beside }: { readonly hasGit: boolean; readonly beside: readonly string[] },
  ): Promise<void> {
    this.#hasGit = hasGit;
    this.#known = new Set(manifest.map(({ path }) => path));
    this.#watchBeside(beside);
    if (hasGit && this.#lock === null) await this.#watchGit();
    if (this.#events > manyEvents) this.#forgetMoved();
    this.#events = 0;
    const folders = ["", ...manifest.filter(({ kind }) => kind === "dir").map(({ path }) => path)];
    const unwatched = folders.filter((path) => !this.#folders.has(path));
    if (unwatched.length === 0 || this.#isFull) return;
    await this.#follow(unwatched);
    // What was changed in them after the scan has looked, nobody has heard.
    this.#stir();
  }

  /** Yields when something has changed and nothing changes any more; what changes meanwhile counts as one. */
  async *changes(signal: AbortSignal): AsyncGenerator<void> {
    for (let seen = 0; !signal.aborted; ) {
      if (seen === this.#version) {
        await this.#bell.heard(signal);
        continue;
      }
      seen = this.#version;
      yield;
    }
  }

  /** Whether one of the further files was written since the last time. */
  takeBeside(): boolean {
    const changed = this.#besideChanged;
    this.#besideChanged = false;
    return changed;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const path of [...this.#folders.keys()]) this.#unfollow(path);
    for (const watcher of this.#beside.values()) watcher.close();
    this.#beside.clear();
  }

  // What is heard

  #heard(folder: string, name: string | null): void {
    if (this.#closed) return;
    this.#events += 1;
    if (name === null) this.#stir();
    if (name === null || name === ".git") return;
    const path = below(folder, name);
    if (name === ".gitignore" || name === ignoreFile) {
      this.#judged.clear();
      this.#ignore = readIgnore(this.#root);
    }
    if (this.#known.has(path) && !this.#folders.has(path)) this.#stir();
    this.#asked.add(path);
    this.#judging ??= this.#judge();
  }

  async #judge(): Promise<void> {
    try {
      while (this.#asked.size > 0 && !this.#closed) {
        // What happens together is asked for together.
        await new Promise((resolve) => setImmediate(resolve));
        const paths = [...this.#asked];
        this.#asked.clear();
        const kept = await this.#keepCounted(paths);
        if (kept.length > 0) this.#stir();
        const folders: string[] = [];
        for (const path of paths) {
          const stat = statOf(this.#root, path);
          const watched = this.#folders.get(path);
          // Another folder of that name, or none: what is heard from the old one comes from elsewhere now.
          if (watched && watched.inode !== stat?.ino) this.#unfollow(path);
          if (stat?.isDirectory() && kept.includes(path)) folders.push(path);
        }
        await this.#follow(folders);
      }
    } catch {
      // Nobody waits for this. What cannot be judged counts, and the scan says what is wrong, where something is.
      if (!this.#closed) this.#stir();
    } finally {
      this.#judging = null;
    }
  }

  /** Those that neither git nor .bettertestignore leaves out. */
  async #keepCounted(paths: readonly string[]): Promise<string[]> {
    const unknown = new Map<string, string[]>();
    for (const path of paths) {
      if (!this.#hasGit || this.#known.has(path) || this.#judged.has(path)) continue;
      const repo = this.#repoOf(path);
      const list = unknown.get(repo);
      if (list) list.push(path);
      else unknown.set(repo, [path]);
    }
    if (this.#judged.size > mostJudged) this.#judged.clear();
    await Promise.all(
      [...unknown].map(async ([repo, list]) => {
        const start = repo === "" ? 0 : repo.length + 1;
        const inRepo = list.map((path) => path.slice(start));
        const ignored = await inFolder(pathBytes(this.#root, repo), (folder) =>
          ignoredByGit(folder, inRepo),
        );
        for (const path of list) this.#judged.set(path, ignored.has(path.slice(start)));
      }),
    );
    return paths.filter((path) => {
      if (this.#known.has(path)) return true;
      return !(this.#judged.get(path) ?? false) && !this.#isLeftOut(path);
    });
  }

  #isLeftOut(path: string): boolean {
    const stat = statOf(this.#root, path);
    return this.#ignore(path, stat?.isDirectory() ?? false);
  }

  /** Submodules, and repos inside of the repo, ignore by their own words. */
  #repoOf(path: string): string {
    for (let folder = parentOf(path); folder !== ""; folder = parentOf(folder)) {
      if (existsSync(pathBytes(this.#root, `${folder}/.git`))) return folder;
    }
    return "";
  }

  // When it is told

  #stir(): void {
    const now = performance.now();
    this.#firstAt ??= now;
    this.#lastAt = now;
    const left = this.#firstAt + longestMs - now;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#settle(), Math.max(0, Math.min(quietMs, left)));
  }

  #settle(): void {
    // Git is in the middle of a checkout, and takes its lock away when it is done. A killed git may have left one.
    const sinceMs = performance.now() - this.#lastAt;
    if (this.#lock !== null && sinceMs < longestMs && existsSync(this.#lock)) {
      this.#timer = setTimeout(() => this.#settle(), longestMs - sinceMs);
      return;
    }
    this.#firstAt = null;
    this.#version += 1;
    this.#bell.ring();
  }

  // What is watched

  /** With all that is below them and counts. */
  async #follow(folders: readonly string[]): Promise<void> {
    let sliceEnd = performance.now() + sliceMs;
    for (let left = [...folders]; left.length > 0 && !this.#closed; ) {
      const unknown: string[] = [];
      for (let folder = left.pop(); folder !== undefined; folder = left.pop()) {
        if (this.#folders.has(folder) || !this.#watchFolder(folder)) continue;
        for (const path of foldersIn(this.#root, folder)) {
          (this.#known.has(path) ? left : unknown).push(path);
        }
        if (performance.now() < sliceEnd) continue;
        await new Promise((resolve) => setImmediate(resolve));
        sliceEnd = performance.now() + sliceMs;
      }
      left = await this.#keepCounted(unknown);
    }
  }

  #watchFolder(folder: string): boolean {
    if (this.#isFull || this.#closed) return false;
    const path = pathBytes(this.#root, folder);
    try {
      const watcher = watch(path, { persistent: false, encoding: "latin1" }, (_event, name) =>
        this.#heard(folder, name),
      );
      watcher.on("error", () => this.#unfollow(folder));
      this.#folders.set(folder, { watcher, inode: lstatSync(path).ino });
      return true;
    } catch (error) {
      this.#refused(error);
      return false;
    }
  }

  #refused(error: unknown): void {
    const code = codeOf(error);
    // It was there a moment ago, or is nobody's to look into.
    if (code !== "ENOSPC" && code !== "EMFILE") return;
    this.#isFull = true;
    const [what, setting] =
      code === "ENOSPC"
        ? ["folders", "fs.inotify.max_user_watches"]
        : ["programs", "fs.inotify.max_user_instances"];
    const limit = limitOf(setting);
    const seen =
      this.#folders.size === 0
        ? "no change is noticed"
        : `changes in ${this.#folders.size} folders are noticed, in the others not`;
    this.#options.onTrouble(
      `the system lets no more ${what} be watched (${setting}${limit === null ? "" : ` is ${limit}`}): ${seen}. ` +
        `More: sudo sysctl ${setting}=${Math.max(2 * (limit ?? 0), code === "ENOSPC" ? 524_288 : 512)}`,
    );
  }

  /** With all that is below. */
  #unfollow(folder: string): void {
    for (const path of this.#folders.keys()) {
      if (path !== folder && !path.startsWith(`${folder}/`)) continue;
      this.#folders.get(path)?.watcher.close();
      this.#folders.delete(path);
    }
  }

  #forgetMoved(): void {
    for (const [path, { inode }] of this.#folders) {
      const stat = statOf(this.#root, path);
      if (stat?.ino !== inode) this.#unfollow(path);
    }
  }

  /** Folders, not files: an editor that saves by rename would take the watched file away. */
  #watchBeside(files: readonly string[]): void {
    this.#besideFiles = new Set(files);
    const folders = new Set(files.map((file) => dirname(file)));
    for (const folder of folders) {
      if (this.#beside.has(folder)) continue;
      this.#listen(folder, (name) => {
        if (!this.#besideFiles.has(join(folder, name))) return;
        this.#besideChanged = true;
        this.#stir();
      });
    }
    for (const [folder, watcher] of this.#beside) {
      if (folders.has(folder) || folder === dirname(this.#lock ?? "/")) continue;
      watcher.close();
      this.#beside.delete(folder);
    }
  }

  /** What belongs to the tree is written in the index too. */
  async #watchGit(): Promise<void> {
    const folder = await gitFolder(this.#root);
    if (folder === null || this.#closed) return;
    this.#lock = join(folder, "index.lock");
    this.#listen(folder, (name) => {
      if (name === "index" || name === basename(this.#lock ?? "")) this.#stir();
    });
  }

  #listen(folder: string, heard: (name: string) => void): void {
    try {
      const watcher = watch(folder, { persistent: false }, (_event, name) => {
        if (name !== null && !this.#closed) heard(name);
      });
      watcher.on("error", () => this.#beside.delete(folder));
      this.#beside.set(folder, watcher);
    } catch (error) {
      this.#refused(error);
    }
  }
}

function below(folder: string, name: string): string {
  return folder === "" ? name : `${folder}/${name}`;
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

function foldersIn(root: string, folder: string): string[] {
  try {
    return readdirSync(pathBytes(root, folder), { encoding: "latin1", withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== ".git")
      .map(({ name }) => below(folder, name));
  } catch {
    return [];
  }
}

function limitOf(setting: string): number | null {
  try {
    return Number(readFileSync(`/proc/sys/${setting.replaceAll(".", "/")}`, "utf8"));
  } catch {
    return null;
  }
}
