// The code under test. What a run tests is found out once, when its first command asks for it, said in an event, and is
// the same for all of its commands, on whichever worker, and for whoever runs the run again.

import { createHash, randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { orAborted } from "../../lib/or-else.js";
import type { RunEvent, RunSource } from "../../model/events.js";
import type { Manifest } from "../../source/manifest.js";
import { type BegunScan, type FoundTree, type Scan, scan } from "../../source/scan.js";
import { createStatCache, type StatCache } from "../../source/stat-cache.js";
import { type OutgoingTree, UnknownTreeError } from "../../wire/send-tree.js";
import type { AskedSource, CommandSource, LeftBy } from "../../wire/source.js";
import type { SourceBy, WorkerClient } from "../../wire/worker-client.js";
import { type LeftFile, type LeftFiles, treeWith } from "./artifact-source.js";
import { ChangedFile, outgoing } from "./outgoing-files.js";
import { SourceTrouble } from "./source-trouble.js";

export interface SourcesOptions {
  /** What outlives the boss, so that the next scan is quick; absent: nothing. */
  readonly folder?: string;
  /** The value of a secret. */
  readonly secret: (name: string) => string | undefined;
  /** Those that may hold a tree. */
  readonly workers: () => readonly WorkerClient[];
}

export interface RunSourcesOptions {
  /** Of the repo that the pipedef belongs to. */
  readonly root: string;
  /** What it is to be, where that was found out before: by an earlier boss, or for the run that is run again. */
  readonly fixed: readonly RunSource[];
  /** Where somebody has just looked. */
  readonly found?: FoundWorkspace | Promise<FoundWorkspace | null>;
  /** What tasks of the run have left. */
  readonly left: LeftFiles;
  readonly emit: (event: RunEvent) => void;
  readonly now: () => number;
}

export interface FoundWorkspace {
  readonly source: RunSource;
  /** What is not as the look before found it, by path; null: there was none. */
  readonly changed: readonly string[] | null;
  readonly manifest: Manifest;
}

/** The source of a run's commands. */
export interface RunSources {
  (asked: AskedSource, worker: WorkerClient, signal: AbortSignal): Promise<CommandSource>;
  /** Of the repo and this user: who shares caches. Nobody else can guess it. */
  cacheScope(): Promise<string>;
}

/** A worker keeps what it was told of for longer. */
const rememberedMs = 5 * 60_000;

interface Sent {
  readonly sending: Promise<void>;
  instance: string | undefined;
  doneAt: number | null;
}

export class Sources {
  readonly #options: SourcesOptions;
  readonly #cache: StatCache;
  readonly #sent = new Map<string, Sent>();
  #key: Promise<string> | null = null;
  /** Scans under way and the last ones done, by the hash of their tree. */
  readonly #scans = new Map<string, OutgoingTree>();

  constructor(options: SourcesOptions) {
    this.#options = options;
    this.#cache = createStatCache(options.folder);
  }

  forRun({ root, fixed, found: seen, left, emit, now }: RunSourcesOptions): RunSources {
    const found = new Map<string, Promise<RunSource>>();
    for (const source of fixed) found.set(nameOf(source), Promise.resolve(source));

    const once = (name: string, find: () => Promise<RunSource>) => {
      let finding = found.get(name);
      if (!finding) {
        finding = find().then((source) => {
          emit({ type: "run-source", at: now(), source });
          return source;
        });
        // A worker that could not be reached is no reason never to ask again.
        finding.catch(() => found.delete(name));
        found.set(name, finding);
      }
      return finding;
    };

    const bring = async (asked: AskedSource, worker: WorkerClient, signal: AbortSignal) => {
      const key = await this.#keyOf();
      const path = asked.path === undefined ? {} : { path: asked.path };
      const working = async () => {
        const look = async () => ((await seen) ?? (await this.look(root))).source;
        return (await once("workspace", look)).tree;
      };
      if (asked.kind === "artifacts") {
        const base = asked.over
          ? await this.#known(await working(), worker, { key, signal })
          : null;
        const files = await leftByAll(asked.tasks, left);
        const tree = treeWith(files, base);
        await this.#once(tree.hash, worker, signal, async () => {
          if (base) await this.#send(base, worker, (copy) => treeWith(files, copy));
          else await worker.sendTree(tree, { key, signal: new AbortController().signal });
        });
        return { tree: tree.hash, key, ...path };
      }
      if (asked.kind === "workspace") {
        const tree = await working();
        await this.#once(tree, worker, signal, () => this.#send(this.#here(tree), worker));
        return { tree, key, ...path };
      }
      const { url, ref } = asked;
      const credentials = this.#credentials(asked.secret);
      const request = { url, ref, ...(credentials && { credentials }) };
      const source = await once(`git ${url} ${ref}`, async () => {
        const { commit, tree } = await worker.fetchGit(request, { key, signal });
        return { kind: "git", url, ref, commit, tree };
      });
      const { tree, commit } = source;
      if (commit === null) throw new Error(`no commit is known of ${ref}`);
      await this.#once(tree, worker, signal, async () => {
        await worker.fetchGit({ ...request, commit }, { key, signal });
      });
      return { tree, key, ...path };
    };
    return Object.assign(bring, { cacheScope: () => this.#cacheScope(root) });
  }

  /** A tree with its list: as it was found here, or as a worker has it. */
  async #known(hash: string, worker: WorkerClient, by: SourceBy): Promise<OutgoingTree> {
    const here = this.#here(hash);
    if (here.manifest) return here;
    await this.#once(hash, worker, by.signal, () => this.#send(here, worker));
    const manifest = await worker.readTree(hash, by);
    return {
      hash,
      manifest,
      since: null,
      read: (entry) => worker.readContent(hash, entry.hash, by),
    };
  }

  async #cacheScope(root: string): Promise<string> {
    const text = `${await this.#keyOf()}\0${await repoOf(root)}`;
    return createHash("sha256").update(text).digest("hex");
  }

  /**
   * For what is most likely about to be asked for: a tree that was looked at before. Null: it was not, or cannot be.
   * Whoever asks for it then hears why.
   */
  async ahead(root: string, begun?: BegunScan): Promise<FoundWorkspace | null> {
    try {
      if (!(await this.#cache.of(root))) return null;
      return await this.look(root, begun);
    } catch {
      return null;
    }
  }

  async look(root: string, begun?: BegunScan): Promise<FoundWorkspace> {
    const onTree = (tree: FoundTree) => this.#bringAhead(root, tree);
    const found = await scan(root, this.#cache, { begun, onTree });
    const { commit, branch, dirty, hash, files } = found;
    const source = {
      kind: "workspace" as const,
      commit,
      ...(branch !== null && { branch }),
      ...(dirty !== null && { dirty }),
      tree: hash,
      files,
    };
    return {
      source,
      changed: changedPaths(found),
      get manifest() {
        return found.manifest;
      },
    };
  }

  /** Where there is just one worker, it is the one that will ask. */
  #bringAhead(root: string, found: FoundTree): void {
    const tree = outgoing(root, found);
    this.#scans.set(tree.hash, tree);
    const [oldest] = this.#scans.keys();
    if (this.#scans.size > 8 && oldest !== undefined) this.#scans.delete(oldest);
    const [worker, another] = this.#options.workers();
    if (!worker || another) return;
    const { signal } = new AbortController();
    // Whoever asks for it hears what is wrong.
    void this.#once(tree.hash, worker, signal, () => this.#send(tree, worker)).catch(() => {});
  }

  close(): Promise<void> {
    return this.#cache.saved();
  }

  /** Once for each worker, whoever asks and however many at a time. */
  #once(
    tree: string,
    worker: WorkerClient,
    signal: AbortSignal,
    bring: () => Promise<void>,
  ): Promise<void> {
    const name = `${worker.url} ${tree}`;
    const known = this.#sent.get(name);
    const isStill =
      known &&
      (known.doneAt === null ||
        (known.instance === worker.instance && performance.now() - known.doneAt < rememberedMs));
    if (isStill) return orAborted(known.sending, signal);
    const sent: Sent = {
      // Not ended with the one that asked first: others may have asked since.
      sending: bring().then(() => {
        sent.instance = worker.instance;
        sent.doneAt = performance.now();
      }),
      instance: undefined,
      doneAt: null,
    };
    this.#sent.set(name, sent);
    sent.sending.catch(() => this.#sent.delete(name));
    if (this.#sent.size > 10_000) this.#sent.delete(this.#sent.keys().next().value ?? name);
    return orAborted(sent.sending, signal);
  }

  #here(hash: string): OutgoingTree {
    const unknown = { hash, manifest: null, since: null, read: () => neverRead(hash) };
    return this.#scans.get(hash) ?? unknown;
  }

  /** `made`: what it becomes on its way, wherever its files are from. */
  async #send(
    tree: OutgoingTree,
    worker: WorkerClient,
    made = (files: OutgoingTree) => files,
  ): Promise<void> {
    const key = await this.#keyOf();
    const { signal } = new AbortController();
    try {
      await worker.sendTree(made(tree), { key, signal });
    } catch (error) {
      if (!(error instanceof UnknownTreeError) && !(error instanceof ChangedFile)) throw error;
      const copy = await this.#copyOf(tree.hash, key, worker, signal);
      if (copy) await worker.sendTree(made(copy), { key, signal });
      else if (error instanceof ChangedFile) {
        throw new SourceTrouble(
          error.message,
          "Run again: a run tests the files as they are at its start",
        );
      } else
        throw new SourceTrouble(
          error.message,
          "It was not used for long. Run the files as they are now",
        );
    }
  }

  /** What another worker holds of a tree, where the files here are others by now. */
  async #copyOf(
    hash: string,
    key: string,
    not: WorkerClient,
    signal: AbortSignal,
  ): Promise<OutgoingTree | null> {
    for (const worker of this.#options.workers()) {
      if (worker.url === not.url) continue;
      const manifest = await worker.readTree(hash, { key, signal }).catch(() => null);
      if (!manifest) continue;
      return {
        hash,
        manifest,
        since: null,
        read: (entry) => worker.readContent(hash, entry.hash, { key, signal }),
      };
    }
    return null;
  }

  #credentials(secret: string | undefined) {
    if (secret === undefined) return null;
    const value = this.#options.secret(secret);
    if (value === undefined) {
      throw new SourceTrouble(
        `the source asks for the secret ${secret}, and there is none of that name`,
        "Start with --secrets-file FILE, which holds lines like NAME=VALUE",
      );
    }
    const colon = value.indexOf(":");
    // As hosts of repos take a token: any name of a user will do.
    return colon < 0
      ? { username: "x-access-token", password: value }
      : { username: value.slice(0, colon), password: value.slice(colon + 1) };
  }

  /** Tells this user's bosses from others that share a worker with them. */
  #keyOf(): Promise<string> {
    this.#key ??= readKey(this.#options.folder);
    return this.#key;
  }
}

async function leftByAll(tasks: readonly LeftBy[], left: LeftFiles): Promise<LeftFile[]> {
  const all: LeftFile[] = [];
  for (const task of tasks) all.push(...(await left(task)));
  return all;
}

async function readKey(folder: string | undefined): Promise<string> {
  const made = randomBytes(24).toString("base64url");
  if (folder === undefined) return made;
  const path = join(folder, "source-key");
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(path, made, { flag: "wx", mode: 0o600 });
    return made;
  } catch {
    const found = await readFile(path, "utf8").catch(() => "");
    return found.length >= 16 ? found : made;
  }
}

/** What tells one repo from another: its git folder, which all its worktrees have in common; else the folder. */
async function repoOf(root: string): Promise<string> {
  const pointer = await readFile(join(root, ".git"), "utf8").catch(() => null);
  const worktree = pointer && /^gitdir: (.+)\/worktrees\/[^/\n]+\n?$/.exec(pointer);
  return worktree?.[1] ?? join(root, ".git");
}

// biome-ignore lint/correctness/useYield: there is nothing to yield.
async function* neverRead(hash: string): AsyncGenerator<Uint8Array> {
  throw new Error(`the files of ${hash} are not known here`);
}

function changedPaths({ since }: Scan): string[] | null {
  if (!since) return null;
  const { removed, set } = since.changes;
  return [...removed, ...set.filter(({ kind }) => kind !== "dir").map(({ path }) => path)];
}

function nameOf(source: RunSource): string {
  return source.kind === "git" ? `git ${source.url} ${source.ref}` : "workspace";
}
