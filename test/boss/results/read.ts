// Reads a report as the boss does, cut into chunks of any size.

import { ResultsFile } from "../../../src/boss/results/results-file.js";
import type { TestCase, TestFramework } from "../../../src/model/test-results.js";

export interface ReadReport {
  readonly tests: readonly TestCase[];
  readonly framework: TestFramework | undefined;
  readonly problem: string | null;
}

export function readReport(text: string | Uint8Array, chunkBytes = 64 * 1024): ReadReport {
  const tests: TestCase[] = [];
  let framework: TestFramework | undefined;
  const file = new ResultsFile({
    test: (test) => tests.push(test),
    framework: (one) => {
      framework = one;
    },
  });
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    file.push(bytes.subarray(at, at + chunkBytes));
  }
  const problem = file.end();
  return { tests, framework, problem };
}

/** "failed suite › name file:line message" of each: a report at a glance. */
export function glanceAt({ tests }: ReadReport): string[] {
  return tests.map(({ verdict, suite, name, file, line, message }) =>
    [verdict, `${suite} | ${name}`, file && `${file}:${line ?? "?"}`, message]
      .filter(Boolean)
      .join(" | "),
  );
}
