// One look of git at a repo, begun at once: which paths belong to it, and of which files there is nothing new.

import { inFolder } from "./git-env.js";
import { findGitIndex, type GitIndexPlace } from "./git-index.js";
import {
  type GitStatus,
  gitStatus,
  isCommitted,
  listOfRepo,
  listUntracked,
  touchedSinceIndex,
  trackedByGit,
  type Untracked,
  untrackedByGit,
} from "./git-list.js";
import type { ListedTree, Run } from "./listed-tree.js";
import { pathBytes } from "./manifest.js";
import type { KnownTree } from "./stat-cache.js";
import { type KnownIndex, Vouched } from "./vouched.js";
import type { Walk } from "./walk.js";

export type Revision = Pick<GitStatus, "commit" | "branch" | "dirty">;

export interface GitSight {
  /** Those that belong to the repo, without the ones that git vouches for. Some may not be there any more. */
  readonly paths: readonly string[];
  /** Takes longer: a tree need not wait for its name. */
  readonly revision: () => Promise<Revision>;
}

export class GitLook {
  readonly #root: string;
  readonly #sureBefore: number;
  readonly #untracked: Promise<Untracked | null>;
  /** Null: it is asked for only where the index turns out not to do. */
  readonly #whole: Promise<GitStatus | null> | null;
  readonly #place: GitIndexPlace | null;
  readonly #touched: Promise<ReadonlySet<string> | null>;
  /** How the index looked when it was first asked for; null: it is not to be relied on. */
  #indexLook: string | null = null;
  #vouched: Vouched | null = null;

  /** `sureBefore`: what was written later may have been written once more meanwhile. */
  constructor(root: string, sureBefore: number) {
    this.#root = root;
    this.#sureBefore = sureBefore;
    this.#place = findGitIndex(root);
    this.#touched = this.#place
      ? touchedSinceIndex(root, this.#place.gitFolder)
      : Promise.resolve(null);
    this.#untracked = this.#place ? untrackedByGit(root) : Promise.resolve(null);
    this.#untracked.catch(() => {});
    this.#whole = this.#place ? null : gitStatus(root);
    this.#whole?.catch(() => {});
  }

  /** Entries of a known tree, 1 for yes, as far as can be told before git has answered. */
  vouchedFor(known: KnownTree | null): Uint8Array | null {
    this.#indexLook = this.#place?.lookBefore(this.#sureBefore) ?? null;
    if (known && this.#indexLook !== null) this.#vouched = this.#vouchedBy(this.#indexLook, known);
    return this.#vouched?.entries ?? null;
  }

  #vouchedBy(look: string, known: KnownTree): Vouched | null {
    if (known.index?.look === look) return Vouched.remembered(known.tree, known.index);
    const index = this.#place?.read();
    return index ? Vouched.compared(known, index, look) : null;
  }

  /** Null: there is no repo, or it has nothing to do with this folder. What is not vouched for is no longer. */
  async seen(walk: Walk): Promise<GitSight | null> {
    const [untracked, touched] = await Promise.all([this.#untracked, this.#touched]);
    const isSteady = this.#isSteady();
    // What was untracked may be tracked by now, and another commit may be checked out.
    const isQuick = isSteady && untracked !== null && touched !== null;
    const whole = isQuick ? null : await (this.#whole ?? gitStatus(this.#root));
    const others = isQuick ? untracked : whole?.untracked;
    if (others && touched && isSteady && walk.isOneDisk()) this.#vouched?.except(touched);
    else {
      this.#vouched?.none();
      this.#vouched = null;
    }
    if (!others) return null;
    const tracked = this.#vouched ?? (await this.#allTracked(isSteady));
    let told: Promise<Revision> | undefined;
    const tell = () => {
      told ??= whole
        ? Promise.resolve(whole)
        : this.#revision([...(touched ?? [])], others.length > 0);
      return told;
    };
    const isOther = tracked.tracked + others.length === 0 && (await tell()).commit !== null;
    if (isOther) return null;
    const { paths, dirty } = await withInner(this.#root, "", [...tracked.others, ...others], walk);
    const revision = async () => {
      const own = await tell();
      return { ...own, dirty: own.dirty || dirty };
    };
    return { paths, revision };
  }

  /** What of it is still true of a tree that was made from the known one. */
  indexOf(tree: ListedTree, runs: readonly Run[]): KnownIndex | null {
    return this.#vouched?.inTree(tree, runs) ?? null;
  }

  /** Git would look at each file once more to tell it at once. */
  async #revision(touched: readonly string[], hasUntracked: boolean): Promise<Revision> {
    const status = await gitStatus(this.#root, touched);
    const commit = status?.commit ?? null;
    if (!status || commit === null) {
      return (await gitStatus(this.#root)) ?? { commit: null, branch: null, dirty: true };
    }
    const isKnown = this.#vouched?.committed === commit;
    const isClean = isKnown || (await isCommitted(this.#root, commit));
    if (isClean) this.#vouched?.isCommitted(commit);
    return { commit, branch: status.branch, dirty: status.dirty || !isClean || hasUntracked };
  }

  async #allTracked(isSteady: boolean): Promise<Pick<Vouched, "tracked" | "others">> {
    // An index that is not read here, or is just being written: git is asked again, after its status.
    const index = isSteady ? this.#place?.read() : null;
    const others = index?.paths ?? (await trackedByGit(this.#root)) ?? [];
    return { tracked: others.length, others };
  }

  /** The same index for all who read it, since the scan began. */
  #isSteady(): boolean {
    const look = this.#place?.lookBefore(this.#sureBefore) ?? null;
    return look !== null && look === this.#indexLook;
  }
}

interface Listed {
  readonly paths: readonly string[];
  readonly dirty: boolean;
}

/** Submodules, and repos inside of the repo, are listed by themselves. */
async function withInner(
  root: string,
  below: string,
  listed: readonly string[],
  walk: Walk,
): Promise<Listed> {
  const paths: string[] = [];
  let dirty = false;
  /** Git says nothing of what is in them, as if they were repos. */
  const plain: string[] = [];
  for (const one of listed) {
    const path = below + (one.endsWith("/") ? one.slice(0, -1) : one);
    paths.push(path);
    if (walk.isLong) await walk.pause();
    if (!walk.stat(path)?.isDirectory()) continue;
    const inner = walk.stat(`${path}/.git`)
      ? await inFolder(pathBytes(root, path), listOfRepo)
      : null;
    if (!inner) {
      if (walk.hasFiles(path)) plain.push(`${path}/`);
      continue;
    }
    const all = await withInner(root, `${path}/`, inner.paths, walk);
    for (const name of all.paths) paths.push(name);
    dirty ||= inner.dirty || all.dirty;
  }
  if (plain.length === 0) return { paths, dirty };

  // A submodule without its repo: the one around it has no list, but says what is ignored.
  const untracked = await inFolder(pathBytes(root, below), listUntracked);
  const inPlain = untracked.filter((name) => plain.some((one) => (below + name).startsWith(one)));
  const stuck = inPlain.find((name) => plain.includes(below + name));
  if (stuck !== undefined) {
    const where = pathBytes(root, below + stuck);
    throw new Error(`${where} looks like a repo to git, and cannot be listed as one: see its .git`);
  }
  const all = await withInner(root, below, inPlain, walk);
  for (const name of all.paths) paths.push(name);
  return { paths, dirty: true };
}
