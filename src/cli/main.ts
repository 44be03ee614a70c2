// Where the program begins.

import { writeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { version } from "../version.js";
import { cacheFolder } from "./cache-folder.js";
import { runCompiled } from "./compiled.js";

/** Their start is rare, and what is kept would only take memory. */
const servers = ["boss", "worker", "up"];

const args = process.argv.slice(2);
const [command = "none"] = args;

if (!saysVersion()) {
  runCompiled({
    path: fileURLToPath(new URL("./command-line.cjs", import.meta.url)),
    ...(!servers.includes(command) && { part: /^[a-z]+$/.test(command) ? command : "none" }),
    folder: join(cacheFolder(), "compiled"),
  });
}

/** Answered before anything else is loaded. False where it was not asked for, or cannot be written as simply as that. */
function saysVersion(): boolean {
  if (args.length !== 1 || !["--version", "-V"].includes(args[0]!)) return false;
  try {
    writeSync(1, `${version}\n`);
    return true;
  } catch {
    return false;
  }
}
