// What the engine has made of the program's text is kept for the next start: to read it anew takes a tenth of a second.
// From Node 22.1 on it keeps that by itself; for older ones it is done here.

import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import Module, { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { constants, Script } from "node:vm";

interface Program {
  /** Of a bundle that is no ECMAScript module. */
  readonly path: string;
  /** What of it runs: another part of it, another file. Absent: nothing is kept. */
  readonly part?: string | undefined;
  /** This user's own: whoever writes there says what runs. */
  readonly folder: string;
}

const digestBytes = 32;
/** Of other versions, and of other places where this one is. */
const mostOfOnePart = 4;

export function runCompiled({ path, part, folder }: Program): void {
  const require = createRequire(path);
  const enable: unknown = Reflect.get(Module, "enableCompileCache");
  if (typeof enable === "function" || part === undefined) {
    // Not in Node's own place, which is a folder that everybody may write to.
    if (typeof enable === "function") enable(folder);
    require(path);
    return;
  }
  const kept = join(folder, `${part}-${nameOf(path)}`);
  const cachedData = readKept(kept);
  const script = new Script(Module.wrap(readFileSync(path, "latin1")), {
    filename: path,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    ...(cachedData && { cachedData }),
  });
  // At the end, when it holds what this part of the program needs.
  if (!cachedData || script.cachedDataRejected) {
    process.once("exit", () => keep(kept, script.createCachedData(), part));
  }
  const module = { exports: {} };
  script.runInThisContext()(module.exports, require, module, path, dirname(path));
}

function nameOf(path: string): string {
  const { mtimeMs, size } = statSync(path);
  const what = [path, mtimeMs, size, process.version, process.arch].join("\n");
  return createHash("sha256").update(what).digest("hex").slice(0, 16);
}

/** Undefined where there is none, or it is not whole: the engine would believe anything. */
function readKept(path: string): Buffer | undefined {
  try {
    const all = readFileSync(path);
    const data = all.subarray(digestBytes);
    return digest(data).equals(all.subarray(0, digestBytes)) ? data : undefined;
  } catch {
    return undefined;
  }
}

function keep(path: string, data: Buffer, part: string): void {
  try {
    const folder = dirname(path);
    makeWithin(folder, 3);
    const own = `${path}.${process.pid}`;
    writeFileSync(own, Buffer.concat([digest(data), data]), { mode: 0o600 });
    renameSync(own, path);
    const all = readdirSync(folder)
      .filter((name) => name.startsWith(`${part}-`))
      .map((name) => ({ name, at: statSync(join(folder, name)).mtimeMs }))
      .sort((a, b) => b.at - a.at);
    for (const { name } of all.slice(mostOfOnePart)) rmSync(join(folder, name), { force: true });
  } catch {
    // It can do without.
  }
}

/** The last ones of its path: a home that is not there is not made. (And `recursive` never ends in /proc.) */
function makeWithin(folder: string, steps: number): void {
  if (existsSync(folder)) return;
  if (steps > 1) makeWithin(dirname(folder), steps - 1);
  mkdirSync(folder, { mode: 0o700 });
}

function digest(data: Uint8Array): Buffer {
  return createHash("sha256").update(data).digest();
}
