// Sources that the worker fetches by itself: one bare mirror for each URL, into which only what is missing is fetched.
// Each boss has its own: what one may read, with its credentials, another may not, though it knows the commit.
// Whatever a URL or ref says is data to git, never an option or a program to start, and credentials are
// handed to one git process by its environment: they are in no file, no list of processes and no message.

import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { scan } from "../../source/scan.js";
import { createStatCache } from "../../source/stat-cache.js";
import type { GitAnswer, GitRequest } from "../../wire/source.js";
import type { SourceStore } from "./store.js";

export class GitFault extends Error {}

/** Others start programs, or read what lies on this machine. */
const protocols = "https:http:ssh:git";
const commitForm = /^[0-9a-f]{40,64}$/;

export class GitMirrors {
  readonly #folder: string;
  readonly #store: SourceStore;
  /** The last fetch of each mirror: one at a time. */
  readonly #fetching = new Map<string, Promise<unknown>>();
  readonly #trees = new Map<string, string>();

  constructor(folder: string, store: SourceStore) {
    this.#folder = folder;
    this.#store = store;
  }

  async treeOf(request: GitRequest, key: string): Promise<GitAnswer> {
    const commit = await this.#commitOf(request, key);
    const known = this.#trees.get(commit);
    if (known !== undefined && this.#store.knows({ tree: known, key }))
      return { commit, tree: known };
    const tree = await this.#checkOut(request, commit, key);
    this.#trees.set(commit, tree);
    return { commit, tree };
  }

  #mirrorOf(url: string, key: string): string {
    return join(
      this.#folder,
      `${createHash("sha256").update(`${url}\0${key}`).digest("hex").slice(0, 32)}.git`,
    );
  }

  async #commitOf(request: GitRequest, key: string): Promise<string> {
    const { url, ref } = request;
    checkWords(request);
    const mirror = this.#mirrorOf(url, key);
    const before = this.#fetching.get(mirror) ?? Promise.resolve();
    const fetching = before.catch(() => {}).then(() => this.#fetch(mirror, request));
    this.#fetching.set(mirror, fetching);
    try {
      return await fetching;
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      throw new GitFault(`cannot fetch ${ref} of ${withoutPassword(url)}: ${words}`);
    } finally {
      if (this.#fetching.get(mirror) === fetching) this.#fetching.delete(mirror);
    }
  }

  async #fetch(mirror: string, { url, ref, commit, credentials }: GitRequest): Promise<string> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await git(["init", "--quiet", "--bare", mirror], {});
    const wanted = commit ?? (commitForm.test(ref) ? ref : null);
    if (wanted !== null && (await this.#has(mirror, wanted))) return wanted;
    const env = credentials ? authorization(url, credentials) : {};
    const here = `refs/fetched/${createHash("sha256").update(ref).digest("hex").slice(0, 32)}`;
    const fetch = (what: string) =>
      git(
        ["-C", mirror, "fetch", "--quiet", "--no-tags", "--force", "--", url, `+${what}:${here}`],
        env,
      );
    await fetch(ref).catch(async (error: Error) => {
      // A commit that no ref points at is given by few servers when asked for by its name.
      if (!commitForm.test(ref)) throw error;
      await git(["-C", mirror, "fetch", "--quiet", "--", url, "+refs/heads/*:refs/heads/*"], env);
    });
    const found =
      wanted ?? (await git(["-C", mirror, "rev-parse", "--verify", `${here}^{commit}`], {})).trim();
    if (!(await this.#has(mirror, found)))
      throw new Error(`commit ${found} is not in it (any more)`);
    return found;
  }

  #has(mirror: string, commit: string): Promise<boolean> {
    return git(["-C", mirror, "cat-file", "-e", `${commit}^{commit}`], {}).then(
      () => true,
      () => false,
    );
  }

  async #checkOut({ url, ref }: GitRequest, commit: string, key: string): Promise<string> {
    const name = randomBytes(6).toString("hex");
    const folder = join(this.#folder, `out-${name}`);
    const index = join(this.#folder, `index-${name}`);
    const mirror = this.#mirrorOf(url, key);
    try {
      await mkdir(folder, { mode: 0o755 });
      // Attributes of the repo may name filters, which nobody's configuration is to define here: large files stay as they lie.
      const env = {
        GIT_INDEX_FILE: index,
        GIT_WORK_TREE: folder,
        GIT_CONFIG_GLOBAL: "/dev/null",
        GIT_CONFIG_NOSYSTEM: "1",
      };
      await git(["--git-dir", mirror, "read-tree", commit], env);
      await git(["--git-dir", mirror, "checkout-index", "--all", "--force", "--quiet"], env);
      const { hash, manifest } = await scan(folder, createStatCache(), { git: false });
      await this.#store.add({ tree: hash, key }, manifest, folder);
      return hash;
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      throw new GitFault(
        `cannot check out ${ref} (${commit}) of ${withoutPassword(url)}: ${words}`,
      );
    } finally {
      await rm(folder, { recursive: true, force: true });
      await rm(index, { force: true });
    }
  }
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

/** Of `https://user:password@host/`, what may be printed. */
function withoutPassword(url: string): string {
  return url.replace(/^([a-z+]+:\/\/)[^/@]*@/, "$1");
}

function git(args: readonly string[], env: Readonly<Record<string, string>>): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      maxBuffer: 64 * 2 ** 20,
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        SSH_AUTH_SOCK: process.env.SSH_AUTH_SOCK,
        LC_ALL: "C",
        // Nobody is here to type a password.
        GIT_TERMINAL_PROMPT: "0",
        GIT_ASKPASS: "true",
        GIT_SSH_COMMAND: "ssh -o BatchMode=yes",
        GIT_ALLOW_PROTOCOL: protocols,
        ...env,
      },
    };
    execFile("git", [...args], options, (error, stdout, stderr) => {
      if (!error) resolve(stdout);
      else if (error.code === "ENOENT") reject(new Error("there is no git on the worker"));
      else
        reject(
          new Error(
            withoutPassword(stderr.trim().split("\n").slice(-3).join(" ") || error.message),
          ),
        );
    });
  });
}
