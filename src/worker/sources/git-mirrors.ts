// Sources that the worker fetches by itself: one bare mirror for each URL, into which only what is missing is fetched.
// Each boss has its own: what one may read, with its credentials, another may not, though it knows the commit.
// Whatever a URL or ref says is data to git, never an option or a program to start, and credentials are
// handed to one git process by its environment: they are in no file, no list of processes and no message.

import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, realpath, rename, rm, stat, utimes } from "node:fs/promises";
import { basename, join } from "node:path";
import { asError } from "../../lib/as-error.js";
import { onAbort } from "../../lib/on-abort.js";
import { orAborted } from "../../lib/or-else.js";
import { formatDuration } from "../../lib/units.js";
import { scan } from "../../source/scan.js";
import { createStatCache } from "../../source/stat-cache.js";
import type { GitAnswer, GitRequest } from "../../wire/source.js";
import { git, withoutPassword } from "./git-program.js";
import type { SourceStore } from "./store.js";
import { type Submodule, submodulesOf } from "./submodules.js";

export class GitFault extends Error {}

const asidePrefix = "out-";
const commitForm = /^[0-9a-f]{40,64}$/;
const everyRef = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
/** Of one commit, submodules of submodules included: one that holds itself twice would go on for ever. */
const mostSubmodules = 1000;
/** What nobody has asked for so long goes at the next start. */
const unusedMs = 30 * 24 * 3600_000;

export interface GitLimits {
  /** Without a byte of a server; in whole seconds. */
  readonly silenceMs: number;
  /** For all that one asks for: before the boss gives up, so that it hears why. */
  readonly fetchMs: number;
}

const defaultLimits: GitLimits = { silenceMs: 120_000, fetchMs: 25 * 60_000 };

export class GitMirrors {
  readonly #folder: string;
  readonly #store: SourceStore;
  readonly #limits: GitLimits;
  /** The last fetch of each mirror: one at a time. */
  readonly #fetching = new Map<string, Promise<unknown>>();
  readonly #trees = new Map<string, string>();

  private constructor(folder: string, store: SourceStore, limits: GitLimits) {
    this.#folder = folder;
    this.#store = store;
    this.#limits = limits;
  }

  /** The folder is that of the store, whose lock says that nobody else is in there. */
  static async open(
    folder: string,
    store: SourceStore,
    log: (line: string) => void,
    limits: Partial<GitLimits> = {},
  ): Promise<GitMirrors> {
    for (const name of await readdir(folder).catch(() => [])) {
      await tidy(join(folder, name)).catch((error: unknown) => {
        log(`mirrors of git: ${asError(error).message}`);
      });
    }
    return new GitMirrors(folder, store, { ...defaultLimits, ...limits });
  }

  /** The signal is aborted when whoever asks has gone. */
  async treeOf(request: GitRequest, key: string, signal: AbortSignal): Promise<GitAnswer> {
    const { fetchMs } = this.#limits;
    const giveUp = new AbortController();
    const late = () => giveUp.abort(new Error(`it took longer than ${formatDuration(fetchMs)}`));
    const timer = setTimeout(late, fetchMs);
    const gone = () => giveUp.abort(new Error("nobody waits for it any more"));
    const leave = onAbort(signal, gone);
    if (signal.aborted) gone();
    try {
      return await this.#treeOf(request, key, giveUp.signal);
    } finally {
      leave();
      clearTimeout(timer);
    }
  }

  async #treeOf(request: GitRequest, key: string, signal: AbortSignal): Promise<GitAnswer> {
    const commit = await this.#commitOf(request, key, signal);
    const known = this.#trees.get(commit);
    if (known !== undefined && this.#store.knows({ tree: known, key }))
      return { commit, tree: known };
    const tree = await this.#checkOut({ request, commit, key, signal });
    this.#trees.set(commit, tree);
    return { commit, tree };
  }

  #mirrorOf(url: string, key: string): string {
    return join(
      this.#folder,
      `${createHash("sha256").update(`${url}\0${key}`).digest("hex").slice(0, 32)}.git`,
    );
  }

  async #commitOf(request: GitRequest, key: string, signal: AbortSignal): Promise<string> {
    const { url, ref } = request;
    checkWords(request);
    const mirror = this.#mirrorOf(url, key);
    const before = this.#fetching.get(mirror) ?? Promise.resolve();
    const fetching = before.catch(() => {}).then(() => this.#fetch(mirror, request, signal));
    this.#fetching.set(mirror, fetching);
    const ended = () => {
      if (this.#fetching.get(mirror) === fetching) this.#fetching.delete(mirror);
    };
    void fetching.then(ended, ended);
    try {
      // Whoever has gone waits for none of those before.
      return await orAborted(fetching, signal);
    } catch (error) {
      throw new GitFault(
        `cannot fetch ${ref} of ${withoutPassword(url)}: ${asError(error).message}`,
      );
    }
  }

  async #fetch(
    mirror: string,
    { url, ref, commit, credentials }: GitRequest,
    signal: AbortSignal,
  ): Promise<string> {
    signal.throwIfAborted();
    await this.#makeMirror(mirror);
    const wanted = commit ?? (commitForm.test(ref) ? ref : null);
    if (wanted !== null && (await this.#has(mirror, wanted))) return wanted;
    const env = credentials ? authorization(url, credentials) : {};
    const here = `refs/fetched/${createHash("sha256").update(ref).digest("hex").slice(0, 32)}`;
    // What git tidies up now and then ends with the fetch, before anybody else has the mirror.
    const settings = [
      "gc.autoDetach=false",
      // One that prepares much gives a sign of life now and then.
      "http.lowSpeedLimit=1",
      `http.lowSpeedTime=${Math.ceil(this.#limits.silenceMs / 1000)}`,
    ].flatMap((setting) => ["-c", setting]);
    const fetch = (...words: string[]) =>
      git(["-C", mirror, ...settings, "fetch", "--quiet", ...words], env, signal);
    try {
      await fetch("--no-tags", "--force", "--", url, `+${ref}:${here}`).catch((error: Error) => {
        // A commit that no ref points at is given by few servers when asked for by its name.
        if (!commitForm.test(ref) || signal.aborted) throw error;
        return fetch("--", url, ...everyRef);
      });
    } catch (error) {
      // One that had to be killed leaves its locks.
      if (signal.aborted) await tidy(mirror).catch(() => {});
      throw error;
    }
    const found =
      wanted ?? (await git(["-C", mirror, "rev-parse", "--verify", `${here}^{commit}`], {})).trim();
    if (!(await this.#has(mirror, found)))
      throw new Error(`commit ${found} is not in it (any more)`);
    return found;
  }

  /** Aside, so that it is there as a whole or not at all. */
  async #makeMirror(mirror: string): Promise<void> {
    const now = new Date();
    if (existsSync(join(mirror, "HEAD"))) return utimes(mirror, now, now);
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const aside = this.#aside();
    await git(["init", "--quiet", "--bare", aside], {});
    await rm(mirror, { recursive: true, force: true });
    await rename(aside, mirror);
  }

  #aside(): string {
    return join(this.#folder, `${asidePrefix}${randomBytes(6).toString("hex")}`);
  }

  #has(mirror: string, commit: string): Promise<boolean> {
    return git(["-C", mirror, "cat-file", "-e", `${commit}^{commit}`], {}).then(
      () => true,
      () => false,
    );
  }

  async #checkOut(wanted: Wanted): Promise<string> {
    const { request, commit, key } = wanted;
    const scratch = this.#aside();
    const folder = join(scratch, "tree");
    try {
      await mkdir(scratch, { mode: 0o700 });
      await mkdir(folder, { mode: 0o755 });
      await this.#layOut({ ...wanted, folder, scratch, counted: { submodules: 0 } });
      const { hash, manifest } = await scan(folder, createStatCache(), { git: false });
      await this.#store.add({ tree: hash, key }, manifest, folder);
      return hash;
    } catch (error) {
      const { url, ref } = request;
      const where = `${ref} (${commit}) of ${withoutPassword(url)}`;
      throw new GitFault(`cannot check out ${where}: ${asError(error).message}`);
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  }

  /** A commit, and the submodules in it. */
  async #layOut(checkout: Checkout): Promise<void> {
    const { request, commit, key, folder, scratch, counted } = checkout;
    const mirror = this.#mirrorOf(request.url, key);
    // Attributes of the repo may name filters, which nobody's configuration is to define here: large files stay as they lie.
    const env = {
      GIT_INDEX_FILE: join(scratch, `index-${counted.submodules}`),
      GIT_WORK_TREE: folder,
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_CONFIG_NOSYSTEM: "1",
    };
    await git(["--git-dir", mirror, "read-tree", commit], env);
    await git(["--git-dir", mirror, "checkout-index", "--all", "--force", "--quiet"], env);
    for (const submodule of await submodulesOf(mirror, { commit, url: request.url, env })) {
      counted.submodules += 1;
      if (counted.submodules > mostSubmodules)
        throw new Error(`it has more than ${mostSubmodules} submodules`);
      await this.#layOutSubmodule(checkout, submodule).catch((error: unknown) => {
        throw new Error(`submodule ${submodule.path}: ${asError(error).message}`);
      });
    }
  }

  async #layOutSubmodule(checkout: Checkout, { path, commit, url }: Submodule): Promise<void> {
    const { request, key, signal } = checkout;
    if (url === null) throw new Error(`.gitmodules names no URL to fetch commit ${commit} from`);
    const { credentials } = request;
    const inner: GitRequest = {
      url,
      ref: commit,
      ...(credentials && isSameHost(url, request.url) && { credentials }),
    };
    await this.#commitOf(inner, key, signal);
    const folder = join(checkout.folder, path);
    // Git has made it, and would have refused to go through a link.
    if ((await realpath(folder)) !== join(await realpath(checkout.folder), path))
      throw new Error("a symbolic link leads away from its folder");
    await this.#layOut({ ...checkout, request: inner, commit, folder });
  }
}

/** After processes that were killed, with their children too: git waits for nobody who holds a lock, it fails. */
async function tidy(path: string): Promise<void> {
  const isAside = basename(path).startsWith(asidePrefix);
  if (isAside || (await stat(path)).mtimeMs < Date.now() - unusedMs) {
    await rm(path, { recursive: true, force: true });
    return;
  }
  for (const name of await readdir(path, { recursive: true })) {
    if (name.endsWith(".lock")) await rm(join(path, name), { force: true });
  }
}

interface Wanted {
  readonly request: GitRequest;
  readonly commit: string;
  readonly key: string;
  /** Nobody waits for it any more. */
  readonly signal: AbortSignal;
}

interface Checkout extends Wanted {
  /** Where its files go. */
  readonly folder: string;
  /** Of the whole check-out, for what git needs besides. */
  readonly scratch: string;
  readonly counted: { submodules: number };
}

/** With the same protocol and port, so that what is said to one is said to nobody else. */
function isSameHost(one: string, other: string): boolean {
  if (!URL.canParse(one) || !URL.canParse(other)) return false;
  const [a, b] = [new URL(one), new URL(other)];
  return a.protocol === b.protocol && a.host === b.host;
}

function checkWords({ url, ref }: GitRequest): void {
  if (url.startsWith("-") || /\p{Cc}/u.test(url))
    throw new GitFault(`${JSON.stringify(url)} is no URL`);
  if (!/^[^-+\s\p{Cc}~^:?*[\\][^\s\p{Cc}~^:?*[\\]*$/u.test(ref) || ref.includes("..")) {
    throw new GitFault(`${JSON.stringify(ref)} is no ref of ${withoutPassword(url)}`);
  }
}

function authorization(
  url: string,
  { username, password }: NonNullable<GitRequest["credentials"]>,
): Record<string, string> {
  const { protocol, host } = new URL(url);
  if (protocol !== "https:" && protocol !== "http:")
    throw new Error(`credentials go with https only, not with ${protocol}`);
  const basic = Buffer.from(`${username}:${password}`).toString("base64");
  return {
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: `http.${protocol}//${host}/.extraHeader`,
    GIT_CONFIG_VALUE_0: `Authorization: Basic ${basic}`,
  };
}
