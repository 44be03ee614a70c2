// A file that git vouches for is not looked at. None that was changed may ever be among them, whatever git is told to
// overlook: each case is scanned with what an earlier scan knew, and anew.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { beginScan, scan } from "../../src/source/scan.js";
import { createStatCache, type StatCache } from "../../src/source/stat-cache.js";

const scratch = mkdtempSync(join(tmpdir(), "bettertest-vouched-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** What is younger is not relied on, and nobody can make a file look older. */
const untilOld = () => new Promise((resolve) => setTimeout(resolve, 2_100));

function git(root: string, ...args: string[]): void {
  const settings = ["user.name=a", "user.email=a@b", "protocol.file.allow=always"];
  const given = [...settings.flatMap((one) => ["-c", one]), ...args];
  execFileSync("git", given, { cwd: root, stdio: "ignore" });
}

/** Its lines may end as they like, and git's own view of filtered.txt has none of its digits. */
function makeRepo(name: string): string {
  const root = join(scratch, name);
  mkdirSync(join(root, "folder/inner"), { recursive: true });
  for (let at = 0; at < 20; at++) writeFileSync(join(root, `folder/file-${at}`), `file ${at}\n`);
  writeFileSync(join(root, "folder/inner/deep"), "deep\n");
  writeFileSync(join(root, "lines.txt"), "a\nb\n");
  writeFileSync(join(root, "filtered.txt"), "text 123\n");
  writeFileSync(join(root, ".gitattributes"), "lines.txt text\nfiltered.txt filter=digits\n");
  writeFileSync(join(root, ".gitignore"), "*.ignored\n");
  git(root, "init", "-q", "-b", "main");
  git(root, "config", "filter.digits.clean", "tr -d 0-9");
  git(root, "add", "-A");
  git(root, "commit", "-qm", "all");
  return root;
}

/** Nothing but its content and its ctime tell. */
function rewriteUnseen(path: string, content: string): void {
  const { atime, mtime, size } = lstatSync(path);
  assert.equal(content.length, size);
  writeFileSync(path, content);
  utimesSync(path, atime, mtime);
}

interface Case {
  readonly before?: (root: string) => void;
  readonly edit: (root: string) => void;
  /** So many are looked at before the edit; by default few, since git vouches for the files. */
  readonly all?: true;
}

const one = "folder/file-1";
const rewrite = (root: string) => rewriteUnseen(join(root, one), "FILE 1\n");
const set = (name: string, value: string) => (root: string) => git(root, "config", name, value);

const cases: Record<string, Case> = {
  "appended to": { edit: (root) => appendFileSync(join(root, one), "more") },
  "of the same size and time": { edit: rewrite },
  "of the same size and time, and added": {
    edit: (root) => {
      rewrite(root);
      git(root, "add", one);
    },
  },
  "that git does not look at the ctime of": {
    before: set("core.trustctime", "false"),
    edit: rewrite,
  },
  "that git looks at least at": { before: set("core.checkStat", "minimal"), edit: rewrite },
  "that is assumed not to change": {
    before: (root) => git(root, "update-index", "--assume-unchanged", one),
    edit: rewrite,
  },
  "that is not to be in the working tree": {
    before: (root) => git(root, "update-index", "--skip-worktree", one),
    edit: rewrite,
  },
  "that a monitor says nothing of": {
    before(root) {
      writeFileSync(join(root, ".git/monitor"), "#!/bin/sh\nprintf 'token\\0'\n", { mode: 0o755 });
      git(root, "config", "core.fsmonitor", ".git/monitor");
      git(root, "config", "core.fsmonitorHookVersion", "2");
      git(root, "update-index", "--fsmonitor");
      git(root, "status");
    },
    edit: rewrite,
  },
  "of another mode, where git keeps none": {
    before: set("core.fileMode", "false"),
    edit: (root) => chmodSync(join(root, one), 0o755),
  },
  "of a mode that git does not tell from its own": {
    edit: (root) => chmodSync(join(root, one), 0o660),
  },
  "with other ends of lines": {
    edit: (root) => writeFileSync(join(root, "lines.txt"), "a\r\nb\r\n"),
  },
  "whose filter gives the same": {
    edit: (root) => writeFileSync(join(root, "filtered.txt"), "text 456\n"),
  },
  "whose filter gives the same, after git has looked": {
    edit(root) {
      writeFileSync(join(root, "filtered.txt"), "text 789\n");
      git(root, "update-index", "--refresh");
    },
  },
  "replaced by an older one": {
    before(root) {
      writeFileSync(join(root, "x.ignored"), "other\n\n");
      const { atime, mtime } = lstatSync(join(root, one));
      utimesSync(join(root, "x.ignored"), atime, mtime);
    },
    edit: (root) => renameSync(join(root, "x.ignored"), join(root, one)),
  },
  "added with its content to come": {
    before(root) {
      writeFileSync(join(root, "new"), "new\n");
      git(root, "add", "-N", "new");
    },
    edit: (root) => rewriteUnseen(join(root, "new"), "NEW\n"),
  },
  "checked out otherwise": {
    before(root) {
      git(root, "checkout", "-qb", "side");
      writeFileSync(join(root, one), "SIDE 1\n");
      git(root, "commit", "-qam", "side");
      git(root, "checkout", "-q", "main");
    },
    edit: (root) => git(root, "checkout", "-q", "side"),
  },
  "removed from the index alone": { edit: (root) => git(root, "rm", "-q", "--cached", one) },
  "gone, with its folder left": { edit: (root) => unlinkSync(join(root, "folder/inner/deep")) },
  "that became a folder": {
    edit(root) {
      unlinkSync(join(root, one));
      mkdirSync(join(root, one));
      writeFileSync(join(root, one, "below"), "below");
    },
  },
  "whose folder became a file": {
    edit(root) {
      rmSync(join(root, "folder/inner"), { recursive: true });
      writeFileSync(join(root, "folder/inner"), "a file");
    },
  },
  "whose folder became a link to itself": {
    edit(root) {
      rmSync(join(root, "folder"), { recursive: true });
      symlinkSync("folder", join(root, "folder"));
    },
  },
  "whose folder became a link to its like": {
    edit(root) {
      cpSync(join(root, "folder"), join(root, "like.ignored"), { recursive: true });
      rmSync(join(root, "folder"), { recursive: true });
      symlinkSync("like.ignored", join(root, "folder"));
    },
  },
  "that is left out from now on": {
    edit: (root) => writeFileSync(join(root, ".bettertestignore"), "file-1*\n"),
  },
  "that is left out no longer": {
    before: (root) => writeFileSync(join(root, ".bettertestignore"), "file-1*\n"),
    edit: (root) => rmSync(join(root, ".bettertestignore")),
  },
  "that is new, where git remembers what was not tracked": {
    before(root) {
      git(root, "update-index", "--untracked-cache");
      git(root, "status");
    },
    edit: (root) => writeFileSync(join(root, "folder/inner/new"), "new"),
  },
  "in a submodule": {
    before(root) {
      git(root, "submodule", "add", "-q", makeRepo(`${root.split("/").at(-1)}-other`), "sub");
    },
    edit: (root) => rewriteUnseen(join(root, "sub", one), "FILE 1\n"),
    all: true,
  },
  "in a working tree beside the first": {
    before(root) {
      renameSync(root, `${root}-main`);
      git(`${root}-main`, "worktree", "add", "-q", root, "-b", "beside");
    },
    edit: rewrite,
  },
  "of an index in two parts": {
    before: (root) => git(root, "update-index", "--split-index"),
    edit: rewrite,
    all: true,
  },
  "of an index with short paths": {
    before: (root) => git(root, "update-index", "--index-version", "4"),
    edit: rewrite,
    all: true,
  },
};

const entries = Object.entries(cases);

/** Side by side, so that all of them get old at once. */
test("no changed file is vouched for", async (t) => {
  const repos = entries.map(([name, { before }], at) => {
    const root = makeRepo(`case-${at}`);
    before?.(root);
    return { name, root, cache: createStatCache() };
  });
  await untilOld();
  for (const { root, cache } of repos) await scan(root, cache);
  for (const [at, { root, cache, name }] of repos.entries()) {
    const { all, edit } = entries[at]![1];
    const { looked, filesRead } = await scan(root, cache);
    assert.equal(filesRead, 0, name);
    assert.equal(looked > 20, all ?? false, `${name}: looked at ${looked}`);
    edit(root);
    await t.test(`a file ${name}`, () => assertSame(root, cache));
  }
  // Once more with an index that is old enough to be compared with.
  await untilOld();
  for (const { root, cache, name } of repos) {
    await t.test(`a file ${name}, later`, () => assertSame(root, cache));
  }
});

async function assertSame(root: string, cache: StatCache): Promise<void> {
  const known = await scan(root, cache);
  const anew = await scan(root, createStatCache());
  assert.deepEqual(known.manifest, anew.manifest);
  assert.equal(known.hash, anew.hash);
  assert.deepEqual([known.dirty, known.commit, known.branch], toldByGit(root));
}

/** Whether anything differs from the commit, which one that is, and of which branch. */
function toldByGit(root: string): readonly [boolean, string, string] {
  const told = (...args: string[]) => execFileSync("git", args, { cwd: root, encoding: "utf8" });
  const changes = told("status", "--porcelain", "--untracked-files=all");
  const branch = told("rev-parse", "--abbrev-ref", "HEAD").trim();
  return [changes !== "", told("rev-parse", "HEAD").trim(), branch];
}

test("a clock that was set is no witness", async () => {
  const root = makeRepo("clock");
  const folder = join(scratch, "clock-cache");
  await untilOld();
  const kept = createStatCache(folder);
  await scan(root, kept);
  const known = await kept.of(root);
  assert.ok(known);
  const few = await scan(root, kept);
  kept.keep(root, { ...known, clock: known.clock - 3_000 });
  const all = await scan(root, kept);
  assert.ok(few.looked < 10 && all.looked > 20, `${few.looked}, ${all.looked}`);
  await kept.saved();
  const later = await scan(root, createStatCache(folder));
  assert.equal(later.looked, few.looked);
});

test("what git has said before its index was another one does not count", async () => {
  const changes: Record<string, (root: string) => void> = {
    "is tracked no more": (root) => git(root, "rm", "-q", "--cached", "folder/file-1"),
    "is tracked now": (root) => git(root, "add", "untracked"),
    "is of another commit": (root) => git(root, "checkout", "-q", "HEAD^{tree}", "--", "lines.txt"),
  };
  const repos = Object.entries(changes).map(([name, change], at) => {
    const root = makeRepo(`begun-${at}`);
    writeFileSync(join(root, "untracked"), "new\n");
    writeFileSync(join(root, "lines.txt"), "other\n");
    return { name, change, root, cache: createStatCache() };
  });
  await untilOld();
  for (const { root, cache } of repos) await scan(root, cache);
  for (const { name, change, root, cache } of repos) {
    const begun = beginScan(root);
    change(root);
    const found = await scan(root, cache, { begun });
    const anew = await scan(root, createStatCache());
    assert.deepEqual(found.manifest, anew.manifest, name);
    assert.deepEqual([found.dirty, found.commit], [anew.dirty, anew.commit], name);
  }
});

test("a damaged memory is none", async () => {
  const root = makeRepo("damaged");
  const folder = join(scratch, "damaged-cache");
  await untilOld();
  const cache = createStatCache(folder);
  const { hash } = await scan(root, cache);
  await scan(root, cache);
  await cache.saved();
  const [name] = readdirSync(folder);
  const path = join(folder, name!);
  const bytes = readFileSync(path);
  for (let at = 0; at < bytes.length; at += 97) {
    const damaged = Buffer.from(bytes);
    damaged[at] = damaged[at]! ^ 1;
    writeFileSync(path, damaged);
    assert.equal(await createStatCache(folder).of(root), null, `byte ${at}`);
  }
  writeFileSync(path, bytes.subarray(0, -1));
  assert.equal(await createStatCache(folder).of(root), null);
  writeFileSync(path, bytes);
  assert.equal((await scan(root, createStatCache(folder))).hash, hash);
});

test("what the index says is compared once, for as long as it stays as it is", async () => {
  const root = makeRepo("compared");
  const folder = join(scratch, "compared-cache");
  await untilOld();
  const cache = createStatCache(folder);
  await scan(root, cache);
  /** Tracked files that it does not vouch for. */
  const others = async () => (await cache.of(root))?.index?.others;
  await scan(root, cache);
  assert.deepEqual(await others(), []);
  const { index } = (await cache.of(root))!;

  writeFileSync(join(root, "lines.txt"), "another line\n");
  await assertSame(root, cache);
  assert.deepEqual(await others(), ["lines.txt"]);
  assert.equal((await cache.of(root))?.index?.look, index?.look);
  // It has a new index, and so everything is compared.
  git(root, "add", "lines.txt");
  await untilOld();
  await assertSame(root, cache);
  // It was not old enough to be known when they were compared.
  assert.deepEqual(await others(), ["lines.txt"]);
  assert.notEqual((await cache.of(root))?.index?.look, index?.look);
  await cache.saved();
  const saved = await createStatCache(folder).of(root);
  assert.deepEqual(saved?.index, (await cache.of(root))?.index);
});

const path = fc.constantFrom(
  ...[0, 1, 2, 3].map((at) => `folder/file-${at}`),
  "lines.txt",
  "folder/inner/deep",
  "folder/new",
);
const random = fc.oneof(
  fc.record({
    what: fc.constant("write"),
    path,
    content: fc.constantFrom("file 7\n", "FILE 7\n", "a\r\n"),
  }),
  fc.record({ what: fc.constant("unseen"), path }),
  fc.record({ what: fc.constant("chmod"), path }),
  fc.record({ what: fc.constant("remove"), path }),
  fc.record({ what: fc.constant("rename"), path, to: path }),
  fc.record({
    what: fc.constantFrom(
      ...["add", "intend", "commit", "uncommit", "stash", "checkout", "reset", "refresh"],
    ),
    path,
  }),
);
type Random = { what: string; path: string; content?: string; to?: string };

function apply(root: string, { what, path, content, to }: Random): void {
  const place = join(root, path);
  try {
    if (what === "write") writeFileSync(place, content!);
    else if (what === "unseen") {
      const { size } = lstatSync(place);
      rewriteUnseen(place, "z".repeat(size));
    } else if (what === "chmod") chmodSync(place, (lstatSync(place).mode & 0o777) ^ 0o111);
    else if (what === "remove") rmSync(place);
    else if (what === "rename") renameSync(place, join(root, to!));
    else if (what === "add") git(root, "add", "--", path);
    else if (what === "intend") git(root, "add", "--intent-to-add", "--", path);
    else if (what === "uncommit") git(root, "reset", "-q", "--soft", "HEAD~1");
    else if (what === "commit") git(root, "commit", "-qam", "more");
    else if (what === "stash") git(root, "stash");
    else if (what === "checkout") git(root, "checkout", "-q", "--", path);
    else if (what === "reset") git(root, "reset", "-q");
    else git(root, "update-index", "--refresh");
  } catch {
    // Not everything can be done everywhere; what could is what counts.
  }
}

test("whatever is done to a repo, what is known of it makes the same tree as a look anew", async () => {
  const rounds = fc.array(fc.array(random, { maxLength: 3 }), { minLength: 3, maxLength: 3 });
  const seed = Date.now();
  const runs = fc.sample(rounds, { seed, numRuns: process.env.CI ? 40 : 12 });
  const repos = runs.map((edits, at) => ({
    root: makeRepo(`random-${at}`),
    cache: createStatCache(),
    edits,
  }));
  for (let round = 0; round < 3; round++) {
    await untilOld();
    for (const { root, cache } of repos) await scan(root, cache);
    for (const { root, cache, edits } of repos) {
      const words = `seed ${seed}: ${JSON.stringify(edits.slice(0, round + 1))}`;
      for (const edit of edits[round]!) apply(root, edit);
      const known = await scan(root, cache);
      const anew = await scan(root, createStatCache());
      assert.deepEqual(known.manifest, anew.manifest, words);
      assert.deepEqual([known.dirty, known.commit, known.branch], toldByGit(root), words);
    }
  }
});
