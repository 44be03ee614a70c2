// Where in the source a function or class stands, and where a stack passes. The keys of a module's
// namespace are sorted, so this is also what puts stages in the order of the source.

import { Session } from "node:inspector";
import { findSourceMap } from "node:module";
import { fileURLToPath } from "node:url";
import type { Place } from "../messages.js";
import type { HandedOver } from "./declared-classes.js";
import { isMachinery } from "./machinery.js";
import { isOwnSource } from "./module-kinds.js";

export type Locatable =
  | ((...given: never[]) => unknown)
  | (abstract new (
      ...given: never[]
    ) => unknown);

/**
 * One place for each function, in the same order; undefined where the engine knows none. `files` hold a
 * function each, by which their scripts are known.
 */
export function placesOf(
  functions: readonly Locatable[],
  files: readonly HandedOver[],
): (Place | undefined)[] {
  const session = new Session();
  session.connect();
  const all = [...files.map(({ classes }) => classes), ...functions];
  Reflect.set(globalThis, handle, all);
  try {
    const [scripts, locations] = known(session, all, files) ?? asked(session, all);
    return locations.slice(files.length).map((location) => location && placeOf(location, scripts));
  } finally {
    Reflect.deleteProperty(globalThis, handle);
    session.disconnect();
  }
}

const handle = Symbol.for("bettertest.places");

/** Within a script; both from 0. */
interface Location {
  readonly scriptId: string;
  readonly line: number;
  readonly column: number;
}

type Found = readonly [ReadonlyMap<string, string>, readonly (Location | undefined)[]];

/** Null where one of them stands in no file that handed itself over. */
function known(
  session: Session,
  all: readonly Locatable[],
  files: readonly HandedOver[],
): Found | null {
  const locations = locationsOf(session, all);
  const scripts = new Map<string, string>();
  for (const [index, { url }] of files.entries()) {
    const location = locations[index];
    if (location) scripts.set(location.scriptId, url);
  }
  const isKnown = locations.every((location) => location && scripts.has(location.scriptId));
  return isKnown ? [scripts, locations] : null;
}

/** Takes 20 ms, since the engine tells of each script that there is, Node's own too. */
function asked(session: Session, all: readonly Locatable[]): Found {
  const scripts = new Map<string, string>();
  session.on("Debugger.scriptParsed", ({ params }) => scripts.set(params.scriptId, params.url));
  session.post("Debugger.enable");
  return [scripts, locationsOf(session, all)];
}

function locationsOf(session: Session, all: readonly Locatable[]): (Location | undefined)[] {
  return all.map((_, index) => {
    // In the session's own thread the answers come before post returns.
    let location: Location | undefined;
    const expression = `globalThis[Symbol.for("${handle.description}")][${index}]`;
    session.post("Runtime.evaluate", { expression }, (error, answer) => {
      const objectId = error ? undefined : answer.result.objectId;
      if (!objectId) return;
      session.post("Runtime.getProperties", { objectId, ownProperties: true }, (failed, found) => {
        if (failed) return;
        const internal = found.internalProperties?.find(
          ({ name }) => name === "[[FunctionLocation]]",
        );
        location = locationIn(internal?.value?.value);
      });
    });
    return location;
  });
}

function locationIn(value: unknown): Location | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const scriptId: unknown = Reflect.get(value, "scriptId");
  const line: unknown = Reflect.get(value, "lineNumber");
  const column: unknown = Reflect.get(value, "columnNumber");
  if (typeof scriptId !== "string" || typeof line !== "number" || typeof column !== "number")
    return undefined;
  return { scriptId, line, column };
}

function placeOf(
  { scriptId, line, column }: Location,
  scripts: ReadonlyMap<string, string>,
): Place | undefined {
  const url = scripts.get(scriptId);
  if (!url) return undefined;
  const map = findSourceMap(url) ?? findSourceMap(pathFrom(url) ?? url);
  const entry = map?.findEntry(line, column);
  if (entry && "originalSource" in entry) {
    const file = pathFrom(entry.originalSource);
    if (!file) return undefined;
    return { file, line: entry.originalLine + 1, column: entry.originalColumn + 1 };
  }
  const file = pathFrom(url);
  return file ? { file, line: line + 1, column: column + 1 } : undefined;
}

/** The frames of a stack that lie in the author's files, innermost first. */
export function framesOf(stack: string | undefined): Place[] {
  const frames: Place[] = [];
  for (const line of stack?.split("\n") ?? []) {
    const match = /^\s+at (?:.*\()?((?:file:\/\/)?\/[^()]*):(\d+):(\d+)\)?$/.exec(line);
    if (!match) continue;
    const file = pathFrom(match[1]!);
    if (!file || !isOwnSource(file) || isMachinery(file)) continue;
    frames.push({ file, line: Number(match[2]), column: Number(match[3]) });
  }
  return frames;
}

function pathFrom(url: string): string | undefined {
  if (url.startsWith("/")) return url;
  if (!url.startsWith("file:")) return undefined;
  const bare = new URL(url);
  bare.search = "";
  bare.hash = "";
  return fileURLToPath(bare);
}
