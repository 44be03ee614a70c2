// The records of trees: each that is known has its list, written or not.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ListedTree } from "../../../src/source/listed-tree.js";
import { Trees } from "../../../src/worker/sources/trees.js";

const scratch = mkdtempSync(join(tmpdir(), "bettertest-trees-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

const listOf = (name: string) => ListedTree.trusted(`l ${name}\0nowhere\0`);

test("trees that are added faster than they are written keep their lists", async () => {
  const folder = join(scratch, "many");
  const trees = new Trees(folder);
  const lists = Array.from({ length: 12 }, (_, index) => listOf(`link-${index}`));
  for (const list of lists) trees.add(list, { layers: [], keys: new Set(["key"]) });
  for (const { hash, text } of lists) assert.equal(trees.listOf(hash)?.text, text);
  await trees.idle();
  const anew = new Trees(folder);
  for (const { hash, text } of lists) {
    assert.equal(trees.listOf(hash)?.text, text);
    assert.ok(anew.get(hash));
    assert.equal(anew.listOf(hash)?.text, text);
  }
});

test("a tree that was forgotten before it was written is not known later", async () => {
  const folder = join(scratch, "forgotten");
  const trees = new Trees(folder);
  const list = listOf("link");
  trees.forget(trees.add(list, { layers: [], keys: new Set() }));
  assert.equal(trees.listOf(list.hash), null);
  await trees.idle();
  assert.deepEqual(new Trees(folder).all(), []);
});
