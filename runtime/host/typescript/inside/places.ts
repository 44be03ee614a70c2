// Where in the source a function or class stands, and where a stack passes. The keys of a module's
// namespace are sorted, so this is also what puts stages in the order of the source.

import { Session } from "node:inspector";
import { findSourceMap } from "node:module";
import { fileURLToPath } from "node:url";
import type { Place } from "../messages.js";
import { isMachinery } from "./machinery.js";
import { isOwnSource } from "./module-kinds.js";

export type Locatable =
  | ((...given: never[]) => unknown)
  | (abstract new (
      ...given: never[]
    ) => unknown);

/** One place for each function, in the same order; undefined where the engine knows none. */
export function placesOf(functions: readonly Locatable[]): (Place | undefined)[] {
  const session = new Session();
  session.connect();
  const scripts = new Map<string, string>();
  session.on("Debugger.scriptParsed", ({ params }) => scripts.set(params.scriptId, params.url));
  session.post("Debugger.enable");
  const handle = Symbol.for("bettertest.places");
  Reflect.set(globalThis, handle, functions);
  try {
    return functions.map((_, index) => {
      // In the session's own thread the answers come before post returns.
      let place: Place | undefined;
      const expression = `globalThis[Symbol.for("bettertest.places")][${index}]`;
      session.post("Runtime.evaluate", { expression }, (error, answer) => {
        const objectId = error ? undefined : answer.result.objectId;
        if (!objectId) return;
        session.post(
          "Runtime.getProperties",
          { objectId, ownProperties: true },
          (failed, found) => {
            if (failed) return;
            const internal = found.internalProperties?.find(
              ({ name }) => name === "[[FunctionLocation]]",
            );
            place = sourcePlace(internal?.value?.value, scripts);
          },
        );
      });
      return place;
    });
  } finally {
    Reflect.deleteProperty(globalThis, handle);
    session.disconnect();
  }
}

function sourcePlace(location: unknown, scripts: ReadonlyMap<string, string>): Place | undefined {
  if (typeof location !== "object" || location === null) return undefined;
  const scriptId: unknown = Reflect.get(location, "scriptId");
  const line: unknown = Reflect.get(location, "lineNumber");
  const column: unknown = Reflect.get(location, "columnNumber");
  if (typeof scriptId !== "string" || typeof line !== "number" || typeof column !== "number")
    return undefined;
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
