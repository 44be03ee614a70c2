// Started by git's hooks in git-hooks.test.ts, with what git tells a hook: writes what a scan finds.

import { writeFileSync } from "node:fs";
import { scan } from "../../src/source/scan.js";
import { createStatCache } from "../../src/source/stat-cache.js";

const [root, into] = process.argv.slice(2) as [string, string];
const { manifest, commit } = await scan(root, createStatCache());
writeFileSync(into, JSON.stringify({ paths: manifest.map(({ path }) => path), commit }));
