import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { WatchedFiles } from "../../src/lib/watched-files.js";
import { waitFor } from "../cli/rig.js";

test("a file is heard of when its folder went away and came back, again and again", async (t) => {
  const root = mkdtempSync(join(tmpdir(), "bettertest-watched-"));
  t.after(() => rmSync(root, { recursive: true }));
  const folder = join(root, "repo", ".bettertest");
  const file = join(folder, "pipedef.ts");
  let changes = 0;
  const watched = new WatchedFiles(() => {
    changes += 1;
    watched.watch([file]);
  });
  t.after(() => watched.close());
  const heard = async (what: () => void) => {
    const before = changes;
    what();
    await waitFor(() => changes > before);
  };
  const make = () => mkdirSync(folder, { recursive: true });
  const save = () => writeFileSync(file, "");
  make();
  watched.watch([file]);
  await heard(save);
  for (let round = 0; round < 3; round++) {
    await heard(() => rmSync(join(root, "repo"), { recursive: true }));
    await heard(make);
    await heard(save);
    await heard(() => renameSync(folder, join(root, "repo", `away-${round}`)));
    await heard(make);
    await heard(save);
    // Gone and back at once, as a checkout does it.
    await heard(() => {
      rmSync(join(root, "repo"), { recursive: true });
      make();
      save();
    });
    await heard(save);
  }
  assert.ok(changes > 0);
});
