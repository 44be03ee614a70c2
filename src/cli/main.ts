// Where the program begins.

import { writeSync } from "node:fs";
import Module from "node:module";
import { join } from "node:path";
import { version } from "../version.js";
import { cacheFolder } from "./cache-folder.js";

const args = process.argv.slice(2);
if (!saysVersion()) {
  keepCompiled();
  await import("./command-line.js");
}

/** From Node 22.1 on. Not in Node's own place, which is a folder that everybody may write to. */
function keepCompiled(): void {
  const enable: unknown = Reflect.get(Module, "enableCompileCache");
  if (typeof enable === "function") enable(join(cacheFolder(), "compiled"));
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
