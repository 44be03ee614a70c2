// What all readers of results files share: where their tests go, and how much of a text is kept.

import type { TestCase, TestFramework } from "../../model/test-results.js";

export interface ReportTaker {
  test(test: TestCase): void;
  /** Who wrote it; called whenever that can be told. */
  framework(framework: TestFramework): void;
}

export interface ReportReader {
  /** The report cannot be read any further: tells what is known of it so far. */
  breakOff(): void;
  push(text: string): void;
  /** Throws, as push does, with words on what is wrong; the tests told until then are real. */
  end(): void;
}

export const mostChars = { name: 1_000, message: 4_000, details: 32_000 } as const;

/** Stands where a text was cut. */
export const cutMark = " […]";

/** Collects text that may be endless. */
export class BoundedText {
  #text = "";
  #cut = false;
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  add(text: string): void {
    const room = this.#most - this.#text.length;
    if (text.length > room) this.#cut = true;
    if (room > 0) this.#text += text.slice(0, room);
  }

  /** Lines as they are, without empty ones around them. */
  get value(): string {
    const text = this.#text.replace(/^(?:[^\S\n]*\n)+/, "").trimEnd();
    return this.#cut ? text + cutMark : text;
  }
}

export function bounded(text: string, most: number): string {
  return text.length > most ? text.slice(0, most) + cutMark : text;
}

/** A test as it is kept: nothing empty, nothing endless. */
export function tidyTest(test: {
  readonly suite: string;
  readonly name: string;
  readonly verdict: TestCase["verdict"];
  readonly ms?: number | undefined;
  readonly file?: string | undefined;
  readonly line?: number | undefined;
  readonly message?: string | undefined;
  readonly details?: string | undefined;
}): TestCase {
  const { suite, name, verdict, ms, line } = test;
  const file = test.file?.trim() || undefined;
  const message = test.message?.trim() || undefined;
  const details = test.details || undefined;
  return {
    suite: bounded(suite, mostChars.name),
    name: bounded(name, mostChars.name) || "(no name)",
    verdict,
    ...(ms !== undefined && Number.isFinite(ms) && ms >= 0 && { ms: Math.round(ms * 1000) / 1000 }),
    ...(file !== undefined && { file: bounded(file, mostChars.name) }),
    ...(line !== undefined && Number.isSafeInteger(line) && line > 0 && { line }),
    ...(message !== undefined && { message: bounded(message, mostChars.message) }),
    ...(details !== undefined && details !== message && { details }),
  };
}

export interface Place {
  readonly file: string;
  readonly line: number;
}

const placePatterns: readonly RegExp[] = [
  // pytest: "test/test_a.py:12: AssertionError"
  /^(?<file>[^\s:()"']+\.py):(?<line>\d+): /m,
  // unittest: File "test/test_a.py", line 12
  /File "(?<file>[^"\n<>]+)", line (?<line>\d+)/,
  // JavaScript: at name (file:///src/a.test.js:12:3)
  /^\s*at (?:[^\n]*\()?(?:file:\/\/)?(?<file>\/?[^\s():]+):(?<line>\d+):\d+\)?$/m,
  // jest and vitest: \u276f test/a.test.ts:12:3. The character itself would double the memory of the program's text.
  /^\s*\u276f (?:\S+ )?(?<file>[^\s:]+):(?<line>\d+):\d+/m,
  // Go: "    a_test.go:12: ..."
  /^\s*(?<file>[\w./-]+_test\.go):(?<line>\d+):/m,
  // Java: at pkg.Name(NameTest.java:12)
  /\((?<file>\w*Tests?\w*\.(?:java|kt|scala|groovy)):(?<line>\d+)\)/,
];

/** Looked through for a place; failures tell theirs near the top. */
const searchedChars = 8_000;

/** Where a failure says it happened; what is in a library or the runtime does not count. */
export function placeIn(details: string, file: string | undefined): Place | null {
  const lines = details
    .slice(0, searchedChars)
    .split("\n")
    .map((line) => line.slice(0, 500))
    .filter((line) => !/node_modules|node:|site-packages|internal\//.test(line));
  if (file !== undefined) {
    const name = file.slice(file.lastIndexOf("/") + 1);
    for (const line of lines) {
      const at = line.indexOf(`${name}:`);
      const number = at < 0 ? null : /^\d+/.exec(line.slice(at + name.length + 1));
      if (number) return { file, line: Number(number[0]) };
    }
    return null;
  }
  for (const pattern of placePatterns) {
    for (const line of lines) {
      const groups = pattern.exec(line)?.groups;
      if (groups) return { file: groups.file!, line: Number(groups.line) };
    }
  }
  return null;
}
