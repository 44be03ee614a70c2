// Turns what went wrong while loading into one clear problem with its place in the source.

import { readFile } from "node:fs/promises";
import type { PipedefProblem } from "../host.js";
import { shownLocation, shownPath } from "../repo-root.js";
import type { DiscoveredStage, LoadFailure, Place } from "./messages.js";
import { type SourceNote, transformSource } from "./transform.js";

export async function explainLoadFailure(
  failure: LoadFailure,
  files: readonly string[],
  root: string,
): Promise<PipedefProblem> {
  if (failure.missing) return missingImport(failure.missing, root);
  // A CommonJS file is not transformed by the boss, so its syntax error has no place yet.
  if (failure.kind === "threw" && !failure.place) {
    const note = await firstSyntaxError(files);
    if (note) return problemOfNote(note, root);
  }
  const { kind, message, stack, hint } = failure;
  const place =
    kind === "stalled" && failure.place
      ? await awaitAtTop(failure.place)
      : (failure.place ?? (kind === "threw" ? await throwOfNoError(files, message) : undefined));
  return {
    kind,
    message,
    ...(place && (await locate(place, root))),
    ...(stack !== undefined && { stack }),
    ...(hint !== undefined && { hint }),
  };
}

export function problemOfNote(note: SourceNote, root: string): PipedefProblem {
  const { text, file, line, column, sourceLine } = note;
  return {
    kind: "syntax",
    message: text,
    ...(line !== undefined && {
      location: { file: shownPath(file, root), line, ...(column !== undefined && { column }) },
    }),
    ...(sourceLine !== undefined && { sourceLine }),
  };
}

/** The second definition of a name silently replaces the first: fewer tests would run than are written. */
export function firstDuplicate(
  notes: readonly SourceNote[],
  stages: readonly DiscoveredStage[],
  root: string,
): PipedefProblem | undefined {
  const taskNames = new Set(stages.flatMap(({ tasks }) => tasks.map(({ name }) => name)));
  for (const note of notes) {
    const name = /^Duplicate (?:member|key) "(.*)" in /.exec(note.text)?.[1];
    if (name === undefined || !taskNames.has(name)) continue;
    const first = note.firstLine === undefined ? "" : ` (the first is in line ${note.firstLine})`;
    return {
      ...problemOfNote(note, root),
      kind: "duplicate",
      message: `task ${name} is defined twice${first}`,
      hint: "Give one of them another name.",
    };
  }
  return undefined;
}

async function firstSyntaxError(files: readonly string[]): Promise<SourceNote | undefined> {
  for (const file of files) {
    const source = await readFile(file).catch(() => null);
    const result = source && (await transformSource(file, source));
    if (result && !result.ok) return result.error;
  }
  return undefined;
}

/** What is no Error knows no place. Where one statement alone can have thrown it, that is the place. */
async function throwOfNoError(
  files: readonly string[],
  message: string,
): Promise<Place | undefined> {
  const text = /^threw (.*)/.exec(message)?.[1];
  if (text === undefined) return undefined;
  const places: (Place & { readonly names: boolean })[] = [];
  for (const file of files) {
    const source = await readFile(file, "utf8").catch(() => "");
    for (const [index, line] of source.split(/\r?\n/).entries()) {
      const at = /^(?!\s*(?:\/\/|\*)).*?\bthrow\b(?!\s+new\b)/.exec(line)?.[0].length;
      if (at === undefined) continue;
      const column = at - "throw".length + 1;
      places.push({ file, line: index + 1, column, names: line.includes(text) });
    }
  }
  const candidates = places.some(({ names }) => names)
    ? places.filter(({ names }) => names)
    : places;
  const [place] = candidates;
  return candidates.length === 1 ? place : undefined;
}

async function missingImport(
  { specifier, importer, name }: NonNullable<LoadFailure["missing"]>,
  root: string,
): Promise<PipedefProblem> {
  const source = await readFile(importer, "utf8").catch(() => "");
  const place = findSpecifier(source, specifier);
  const local = /^[./]/.test(specifier);
  const what = `the ${local ? "file" : "package"} "${specifier}"`;
  const installHint = `Install it in the repo (npm install ${packageName(specifier)}), or check its name.`;
  const pathHint = "Is the path right? It starts at the folder of the file that imports it.";
  return {
    kind: "import",
    message: name === undefined ? `cannot find ${what}` : `${what} exports nothing named ${name}`,
    location: shownLocation({ file: importer, line: place?.line ?? 1, ...place }, root),
    ...(place && { sourceLine: place.sourceLine }),
    ...(name === undefined && { hint: local ? pathHint : installHint }),
  };
}

function packageName(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

function findSpecifier(
  source: string,
  specifier: string,
): { line: number; column: number; sourceLine: string } | undefined {
  const lines = source.split(/\r?\n/);
  const quoted = ['"', "'", "`"].map((quote) => `${quote}${specifier}${quote}`);
  const candidates = lines.flatMap((sourceLine, index) => {
    const column = Math.max(...quoted.map((text) => sourceLine.indexOf(text)));
    return column < 0 ? [] : [{ line: index + 1, column: column + 1, sourceLine }];
  });
  // The same text may stand in a comment above.
  const imports = candidates.filter(({ sourceLine, column }) =>
    /(?:\bfrom|\bimport|\brequire\s*\(|\bimport\s*\()\s*$/.test(sourceLine.slice(0, column - 1)),
  );
  return imports.find(({ sourceLine }) => !/^\s*(?:\/\/|\*)/.test(sourceLine)) ?? candidates[0];
}

/** The first await outside of every function: the engine does not say which one waits. */
async function awaitAtTop(place: Place): Promise<Place> {
  const source = await readFile(place.file, "utf8").catch(() => "");
  const lines = source.split(/\r?\n/);
  const index = lines.findIndex(
    (line) => /^(?!\/\/)\S.*\bawait\b|^await\b/.test(line) && !/\basync\b/.test(line),
  );
  if (index < 0) return place;
  return { ...place, line: index + 1, column: lines[index]!.indexOf("await") + 1 };
}

async function locate(
  place: Place,
  root: string,
): Promise<Pick<PipedefProblem, "location" | "sourceLine">> {
  const source = await readFile(place.file, "utf8").catch(() => "");
  const sourceLine = source.split(/\r?\n/)[place.line - 1];
  return { location: shownLocation(place, root), ...(sourceLine !== undefined && { sourceLine }) };
}
