#!/usr/bin/env node
import { existsSync } from "node:fs";

const main = new URL("../dist/src/cli/main.js", import.meta.url);
if (!existsSync(main)) {
  console.error("bettertest: this clone is not built yet. Try: npm run quickstart");
  process.exit(2);
}
await import(main.href);
