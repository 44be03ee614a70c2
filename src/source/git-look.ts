// One look of git at a repo, begun at once: which paths belong to it, and of which files there is nothing new.

import { findGitIndex, type GitIndex, type GitIndexPlace } from "./git-index.js";
import { type GitStatus, gitStatus, touchedSinceIndex, trackedByGit } from "./git-list.js";
import { pathBytes } from "./manifest.js";
import type { KnownTree } from "./stat-cache.js";
import { Vouched } from "./vouched.js";
import type { Walk } from "./walk.js";

export interface GitSight extends GitStatus {
  /** Those that belong to the repo, without the ones that git vouches for. Some may not be there any more. */
  readonly paths: readonly string[];
}

export class GitLook {
  readonly #root: string;
  readonly #sureBefore: number;
  readonly #status: Promise<GitStatus | null>;
  readonly #place: GitIndexPlace | null;
  readonly #touched: Promise<ReadonlySet<string> | null>;
  #index: GitIndex | null = null;
  #vouched: Vouched | null = null;

  /** `sureBefore`: what was written later may have been written once more meanwhile. */
  constructor(root: string, sureBefore: number) {
    this.#root = root;
    this.#sureBefore = sureBefore;
    this.#place = findGitIndex(root);
    this.#touched = this.#place
      ? touchedSinceIndex(root, this.#place.gitFolder)
      : Promise.resolve(null);
    this.#status = gitStatus(root);
    this.#status.catch(() => {});
  }

  /** Entries of a known tree, 1 for yes, as far as can be told before git has answered. */
  vouchedFor(known: KnownTree | null): Uint8Array | null {
    if (this.#isSteady()) this.#index = this.#place?.read() ?? null;
    if (known && this.#index) this.#vouched = new Vouched(known, this.#index);
    return this.#vouched?.entries ?? null;
  }

  /** Null: there is no repo, or it has nothing to do with this folder. What is not vouched for is no longer. */
  async seen(walk: Walk): Promise<GitSight | null> {
    const [status, touched] = await Promise.all([this.#status, this.#touched]);
    const isSteady = this.#index !== null && this.#isSteady();
    if (status && touched && isSteady && walk.isOneDisk()) this.#vouched?.except(touched);
    else this.#vouched?.none();
    if (!status) return null;
    // An index that is not read here, or is just being written: git is asked again, after its status.
    const tracked = isSteady ? this.#index!.paths : ((await trackedByGit(this.#root)) ?? []);
    const isOther = tracked.length + status.untracked.length === 0 && status.commit !== null;
    if (isOther) return null;
    const others = (isSteady && this.#vouched?.others()) || tracked;
    return {
      ...status,
      paths: await withInner(this.#root, "", [...others, ...status.untracked], walk),
    };
  }

  /** The same index for all who read it, since the scan began. */
  #isSteady(): boolean {
    return this.#place?.isOlderThan(this.#sureBefore) ?? false;
  }
}

/** Submodules, and repos inside of the repo, are listed by themselves. */
async function withInner(
  root: string,
  below: string,
  listed: readonly string[],
  walk: Walk,
): Promise<string[]> {
  const paths: string[] = [];
  for (const one of listed) {
    const path = below + (one.endsWith("/") ? one.slice(0, -1) : one);
    paths.push(path);
    if (walk.isLong) await walk.pause();
    if (!walk.stat(path)?.isDirectory() || !walk.stat(`${path}/.git`)) continue;
    const folder = pathBytes(root, path).toString();
    const [status, tracked] = await Promise.all([gitStatus(folder), trackedByGit(folder)]);
    const inner = [...(tracked ?? []), ...(status?.untracked ?? [])];
    for (const name of await withInner(root, `${path}/`, inner, walk)) paths.push(name);
  }
  return paths;
}
