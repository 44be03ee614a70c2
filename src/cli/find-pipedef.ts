// Which pipedef is meant: the one named, or the one of the repo around the current folder.

import { statSync } from "node:fs";
import { dirname, extname, join, relative, resolve } from "node:path";
import { pipedefNames, findPipedefs as pipedefsIn } from "../boss/pipelines.js";
import { usageError } from "./cli-error.js";

const extensions = pipedefNames.map((name) => extname(name));
const home = ".bettertest";

/** One pipedef; throws a usage error that says where it looked. */
export function findPipedef(named: string | undefined, cwd: string): string {
  if (named === undefined) return findAround(cwd);
  const found = pipedefsAt(named, cwd);
  if (found.length > 1) {
    const names = found.map((path) => `  ${relative(cwd, path)}`).join("\n");
    throw usageError(`${named} holds ${found.length} pipedefs; name one of them:\n${names}`);
  }
  return found[0] ?? noneIn(named);
}

/** Those that were named (files or folders), or the repo's own. */
export function findPipedefs(named: readonly string[], cwd: string): string[] {
  if (named.length === 0) return [findAround(cwd)];
  const found = named.flatMap((name) => {
    const here = pipedefsAt(name, cwd);
    return here.length > 0 ? here : [noneIn(name)];
  });
  return [...new Set(found)];
}

function pipedefsAt(name: string, cwd: string): string[] {
  const path = resolve(cwd, name);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat)
    throw usageError(
      `there is no pipedef at ${name}`,
      "Is the path right? It is read from the current folder.",
    );
  if (!stat.isDirectory()) {
    if (!hasPipedefExtension(path)) {
      throw usageError(`${name} is not a pipedef: its name must end in ${extensions.join(", ")}`);
    }
    return [path];
  }
  return pipedefsIn(path);
}

function findAround(cwd: string): string {
  for (let folder = cwd; ; folder = dirname(folder)) {
    const found = firstIn(join(folder, home));
    if (found) return found;
    if (folder === dirname(folder)) break;
  }
  throw usageError(
    `no pipedef found: looked for ${home}/pipedef.{${extensions.map((one) => one.slice(1)).join(",")}} in ${cwd} and the folders above it`,
    "To make one: bettertest init. To use another file: bettertest run PATH",
  );
}

function firstIn(folder: string): string | undefined {
  return pipedefNames
    .map((name) => join(folder, name))
    .find((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
}

function hasPipedefExtension(path: string): boolean {
  return extensions.some((extension) => extname(path) === extension);
}

function noneIn(name: string): never {
  throw usageError(
    `no pipedef in the folder ${name}: looked for pipedef.*, ${home}/pipedef.* and */${home}/pipedef.*`,
  );
}

/** As a person in `cwd` would type it. */
export function shortPath(path: string, cwd = process.cwd()): string {
  const short = relative(cwd, path);
  return short !== "" && short.length < path.length && !short.startsWith("../../..") ? short : path;
}
