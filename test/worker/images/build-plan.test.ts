import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { planBuild } from "../../../src/worker/images/build-plan.js";
import type { BorrowedTree } from "../../../src/worker/sources/store.js";

test("an image is named alike where its bases are, and never where one is not understood", () => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-plan-"));
  try {
    const keysOf = (text: string) => {
      writeFileSync(join(folder, "Dockerfile"), text);
      const manifest = [
        { kind: "file", path: "Dockerfile", mode: 0o644, size: text.length, hash: "Dockerfile" },
      ] as const;
      const tree: BorrowedTree = {
        hash: "tree",
        manifest,
        pathOf: (hash) => join(folder, hash),
      };
      const { keyWith } = planBuild(tree, { context: ".", dockerfile: "Dockerfile" });
      return [keyWith(["id"]), keyWith(["id"])] as const;
    };
    const [one, same] = keysOf("ARG V=1\nFROM a:$V\n");
    assert.equal(one, same);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: so a Dockerfile names what it is given
    const [other, next] = keysOf("ARG V=v1\nFROM a:${V#v}\n");
    assert.notEqual(other, next);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
