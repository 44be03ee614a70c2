// The tree in the sandbox is the working tree: kinds, modes, targets and bytes, after whatever was done to it; and each
// file is one of its own.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { scan } from "../../src/source/scan.js";
import { createStatCache } from "../../src/source/stat-cache.js";
import { bring, key, type SourceWorker, startSourceWorker } from "../rig/source-worker.js";

/** Bytes that are no UTF-8 among them, and words that mean something to somebody. */
const names = ["a", "b.txt", "c d", "-x", "ü", "caf\xe9", "ignored", "new\nline", "a.b", "a-"];
const name = fc.constantFrom(...names);
/** Some again and again, so that what is done to one of them is done to what is there. */
const path = fc.oneof(
  fc.constantFrom("a", "a/b.txt", "a/a.b", "ü/a", "a-"),
  fc.array(name, { minLength: 1, maxLength: 3 }).map((steps) => steps.join("/")),
);
const mode = fc.constantFrom(0o644, 0o755, 0o600, 0o664, 0o400);
const content = fc.oneof(
  fc.constantFrom("", "same", "same\n", "x".repeat(70_000)),
  fc.string({ unit: "binary" }),
);
const edit = fc.oneof(
  fc.record({ what: fc.constant("write" as const), path, content, mode }),
  fc.record({ what: fc.constant("append" as const), path, content }),
  fc.record({
    what: fc.constant("chmod" as const),
    path,
    mode: fc.constantFrom(0o755, 0o700, 0o644, 0o711),
  }),
  fc.record({
    what: fc.constant("link" as const),
    path,
    target: fc.oneof(path, fc.constantFrom("/etc", "..", "nowhere")),
  }),
  fc.record({ what: fc.constant("folder" as const), path }),
  fc.record({ what: fc.constant("remove" as const), path }),
  fc.record({ what: fc.constant("rename" as const), path, to: path }),
  fc.record({ what: fc.constant("repo" as const), path }),
  fc.record({ what: fc.constant("add" as const) }),
  fc.record({ what: fc.constant("commit" as const) }),
);
const rounds = fc.array(fc.array(edit, { minLength: 1, maxLength: 8 }), {
  minLength: 1,
  maxLength: 4,
});
type Edit = ReturnType<(typeof edit)["generate"]>["value"];

const bytes = (text: string) => Buffer.from(text, "latin1");
const at = (root: string, below: string) => Buffer.concat([bytes(`${root}/`), bytes(below)]);

function git(root: string, ...args: string[]): string {
  const identity = [
    "-c",
    "user.name=a",
    "-c",
    "user.email=a@b",
    "-c",
    "advice.addEmbeddedRepo=false",
  ];
  return execFileSync("git", [...identity, ...args], {
    cwd: root,
    encoding: "latin1",
    stdio: ["ignore", "pipe", "ignore"],
  });
}

function apply(root: string, edit: Edit): void {
  if (touched(edit).some((path) => leadsOut(root, path))) return;
  try {
    switch (edit.what) {
      case "write":
        mkdirSync(at(root, parent(edit.path)), { recursive: true });
        writeFileSync(at(root, edit.path), bytes(edit.content));
        chmodSync(at(root, edit.path), edit.mode);
        break;
      case "append":
        appendFileSync(at(root, edit.path), bytes(edit.content));
        break;
      case "chmod":
        chmodSync(at(root, edit.path), edit.mode);
        break;
      case "link":
        symlinkSync(bytes(edit.target), at(root, edit.path));
        break;
      case "folder":
        mkdirSync(at(root, edit.path), { recursive: true });
        break;
      case "remove":
        rmSync(at(root, edit.path), { recursive: true });
        break;
      case "rename":
        renameSync(at(root, edit.path), at(root, edit.to));
        break;
      case "repo":
        // Through a link to "..", the whole would be another kind of tree than the test is about.
        if (realpathSync(at(root, edit.path), "latin1") === root) break;
        git(at(root, edit.path).toString(), "init", "-q");
        git(at(root, edit.path).toString(), "commit", "-q", "--allow-empty", "-m", "inner");
        break;
      case "add":
        git(root, "add", "-A");
        break;
      case "commit":
        git(root, "commit", "-q", "-a", "-m", "more");
        break;
    }
  } catch {
    // Not everything can be done everywhere; what could is what counts.
  }
}

/** What the edit goes through: a link is made, removed and renamed as itself. */
function touched(edit: Edit): string[] {
  switch (edit.what) {
    case "add":
    case "commit":
      return [];
    case "link":
    case "remove":
      return [parent(edit.path)];
    case "rename":
      return [parent(edit.path), parent(edit.to)];
    default:
      return [edit.path];
  }
}

/** Through one of the links that were made: then the edit would change this machine. */
function leadsOut(root: string, path: string): boolean {
  const steps = path.split("/");
  return steps.some((_, index) => {
    const place = at(root, steps.slice(0, index + 1).join("/"));
    try {
      if (!lstatSync(place, { throwIfNoEntry: false })) return false;
      return !`${realpathSync(place, "latin1")}/`.startsWith(`${root}/`);
    } catch {
      // A link to nowhere: what is written to it would be made there.
      return true;
    }
  });
}

function parent(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** Everything below a folder, one line each. Root can read all. */
function look(root: string, below = ""): string[] {
  return readdirSync(at(root, below), { encoding: "latin1" })
    .filter((one) => one !== ".git")
    .sort()
    .flatMap((one) => {
      const path = below + one;
      const stat = lstatSync(at(root, path));
      const line = describe(root, path);
      return stat.isDirectory() ? [line, ...look(root, `${path}/`)] : [line];
    });
}

function describe(root: string, path: string): string {
  const stat = lstatSync(at(root, path));
  const mode = (stat.mode & 0o777).toString(8);
  if (stat.isDirectory()) return `${JSON.stringify(path)} folder ${mode}`;
  if (stat.isSymbolicLink())
    return `${JSON.stringify(path)} -> ${readlinkSync(at(root, path), "latin1")}`;
  return `${JSON.stringify(path)} ${mode} ${readFileSync(at(root, path)).toString("base64")}`;
}

/** All that there are in a folder, itself included. */
function owners(folder: string): string[] {
  const found = new Set<string>();
  const visit = (path: Buffer) => {
    const stat = lstatSync(path);
    found.add(`${stat.uid}:${stat.gid}`);
    if (!stat.isDirectory()) return;
    for (const name of readdirSync(path, { encoding: "buffer" })) {
      visit(Buffer.concat([path, Buffer.from("/"), name]));
    }
  };
  visit(Buffer.from(folder));
  return [...found];
}

/** Paths of which one is another name of the other: what copies one over the other is told that they are the same. */
function namesOfOne(root: string): string[][] {
  const byInode = new Map<number, string[]>();
  const visit = (below: string) => {
    for (const one of readdirSync(at(root, below), { encoding: "latin1" })) {
      const stat = lstatSync(at(root, below + one));
      if (stat.isDirectory()) visit(`${below}${one}/`);
      else byInode.set(stat.ino, [...(byInode.get(stat.ino) ?? []), below + one]);
    }
  };
  visit("");
  return [...byInode.values()].filter((paths) => paths.length > 1);
}

/** As git itself names the files, one way of asking; the scan asks another way. */
function expected(root: string, below = ""): Set<string> {
  const found = new Set<string>();
  const folder = below === "" ? root : at(root, below).toString();
  const listed = git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard");
  for (const one of listed.split("\0")) {
    if (one === "") continue;
    const path = below + one.replace(/\/$/, "");
    const steps = path.split("/");
    const above = steps.slice(0, -1).map((_, index) => steps.slice(0, index + 1).join("/"));
    const stat = (some: string) => lstatSync(at(root, some), { throwIfNoEntry: false });
    if (!above.every((some) => stat(some)?.isDirectory())) continue;
    const own = stat(path);
    if (!own) continue;
    for (const some of above) found.add(some);
    found.add(path);
    if (own.isDirectory() && stat(`${path}/.git`)) {
      for (const inner of expected(root, `${path}/`)) found.add(inner);
    }
  }
  return found;
}

async function check(
  edits: readonly (readonly Edit[])[],
  withGit: boolean,
  { client, store }: SourceWorker,
) {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "bettertest-identity-")));
  try {
    // Whatever else is done.
    for (const twin of ["twin", "other twin"]) writeFileSync(join(root, twin), "same");
    if (withGit) {
      git(root, "init", "-q");
      writeFileSync(join(root, ".gitignore"), "ignored\n");
      git(root, "add", "-A");
      git(root, "commit", "-q", "-m", "first");
    }
    const cache = createStatCache();
    for (const [index, round] of edits.entries()) {
      for (const one of round) apply(root, one);
      const { hash } = await bring(root, cache, client);
      const anew = await scan(root, createStatCache(), { git: withGit });
      assert.equal(anew.hash, hash, "what was known before makes no difference");
      const wanted = withGit
        ? [...expected(root)].sort().map((path) => describe(root, path))
        : look(root);
      const isLast = index === edits.length - 1 && process.getuid?.() === 0;
      for (const owner of isLast ? [null, { uid: 1234, gid: 56 }] : [null]) {
        const place = await store.place();
        try {
          await place.fill({ tree: hash, key }, [], owner);
          assert.deepEqual(look(place.path).sort(), wanted.sort());
          assert.deepEqual(namesOfOne(place.path), []);
          if (owner) assert.deepEqual(owners(place.path), ["1234:56"]);
        } finally {
          await place.release();
        }
      }
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

const numRuns = process.env.CI ? 40 : 20;

for (const withGit of [true, false]) {
  for (const copy of [false, true]) {
    const words = `${withGit ? "a repo" : "a folder"}, ${copy ? "copied" : "as overlay"}`;
    test(`the sandbox sees what is there: ${words}`, async () => {
      // All trees lie in one store, as they do on a worker that many repos use.
      await using worker = await startSourceWorker({ copy });
      await fc.assert(
        fc.asyncProperty(rounds, (edits) => check(edits, withGit, worker)),
        { numRuns, includeErrorInReport: true },
      );
      assert.deepEqual(await worker.store.verify(), []);
    });
  }
}
