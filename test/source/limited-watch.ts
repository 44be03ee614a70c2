// Started by tree-watch.test.ts where few folders may be watched: prints what is said of that.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scan } from "../../src/source/scan.js";
import { createStatCache } from "../../src/source/stat-cache.js";
import { TreeWatch } from "../../src/source/tree-watch.js";

const folder = mkdtempSync(join(tmpdir(), "bettertest-limited-"));
for (let at = 0; at < 20; at++) mkdirSync(join(folder, `folder-${at}`));
const { manifest } = await scan(folder, createStatCache(), { git: false });
const tree = new TreeWatch(folder, {
  onTrouble: (message) => process.stdout.write(`${message}\n`),
});
await tree.know(manifest, { hasGit: false, beside: [] });
tree.close();
rmSync(folder, { recursive: true });
