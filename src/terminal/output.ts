// Reading a task's output for people: the end of it, or all of it, line by line.

import { grouped } from "./text.js";

export interface OutputTail {
  readonly lines: readonly string[];
  /** Lines before the first one of `lines`. */
  readonly omittedLines: number;
}

const newline = 10;
/** Longer lines are cut: a terminal cannot show them, and a progress dump of 50 MB is not for reading. */
const longestLine = 4000;

/** Reads all, keeps the end. */
export async function readTail(
  chunks: AsyncIterable<Uint8Array>,
  limits: { readonly lines: number; readonly bytes: number },
): Promise<OutputTail> {
  const kept: Uint8Array[] = [];
  let keptBytes = 0;
  let newlines = 0;
  let total = 0;
  let last = newline;
  for await (const chunk of chunks) {
    if (chunk.length === 0) continue;
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, at + 1)) newlines++;
    last = chunk[chunk.length - 1] ?? newline;
    total += chunk.length;
    kept.push(chunk);
    keptBytes += chunk.length;
    while (kept[0] && keptBytes - kept[0].length >= limits.bytes) {
      keptBytes -= kept.shift()?.length ?? 0;
    }
  }
  const allLines = newlines + (last === newline ? 0 : 1);
  let bytes = Buffer.concat(kept);
  if (bytes.length < total) {
    const firstWhole = bytes.indexOf(newline) + 1;
    if (firstWhole > 0 && firstWhole < bytes.length) bytes = bytes.subarray(firstWhole);
  }
  const lines = bytes.toString("utf8").split("\n");
  if (lines.at(-1) === "") lines.pop();
  const shown = limits.lines > 0 ? lines.slice(-limits.lines) : [];
  return { lines: shown.map(cutLongLine), omittedLines: allLines - shown.length };
}

/** Every line for people, whatever the sizes of the chunks. */
export async function* eachLine(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  for await (const { line, missing } of cutLines(chunks, longestLine)) {
    yield withDropped(line, missing);
  }
}

/** For programs longer ones are whole, too, but not without end: they are held in memory. */
const longestForPrograms = 2 ** 20;

/** Every line as fields of JSON: `missing` says how many characters were left out at its end. */
export async function* eachJsonLine(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<{ readonly line: string; readonly missing?: number }> {
  for await (const { line, missing } of cutLines(chunks, longestForPrograms)) {
    yield missing === 0 ? { line } : { line, missing };
  }
}

interface CutLine {
  readonly line: string;
  readonly missing: number;
}

/** A line of many megabytes is never held as a whole. */
async function* cutLines(
  chunks: AsyncIterable<Uint8Array>,
  longest: number,
): AsyncGenerator<CutLine> {
  const decoder = new TextDecoder();
  let unfinished = "";
  let dropped = 0;
  for await (const chunk of chunks) {
    const pieces = decoder.decode(chunk, { stream: true }).split("\n");
    for (const [index, piece] of pieces.entries()) {
      if (index > 0) {
        yield { line: unfinished, missing: dropped };
        unfinished = "";
        dropped = 0;
      }
      const room = Math.max(0, longest - unfinished.length);
      unfinished += piece.slice(0, room);
      dropped += Math.max(0, piece.length - room);
    }
  }
  unfinished += decoder.decode();
  if (unfinished !== "") yield { line: unfinished, missing: dropped };
}

function cutLongLine(line: string): string {
  return withDropped(line.slice(0, longestLine), Math.max(0, line.length - longestLine));
}

function withDropped(line: string, dropped: number): string {
  return dropped === 0 ? line : `${line}… (${grouped(dropped)} more characters)`;
}
