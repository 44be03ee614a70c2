// Which lines of an output say what went wrong: a guess, made for those who come to a red task and want
// to be at the right line at once.

/** 2: the words of a known tool. 1: a line that speaks of an error. 0: any other. */
export type ErrorWeight = 0 | 1 | 2;

/** Lines without any of these need no closer look; fast on many megabytes. */
export const errorWords =
  /error|fail|panic|exception|fatal|traceback|assert|not ok|undefined reference|segmentation|core dumped|killed|cannot|command not found|✗|✕|✖|●|×/i;

const strong: readonly RegExp[] = [
  // Python, pytest
  /^Traceback \(most recent call last\)/,
  /^E {3}\s*\S/,
  /^\w[\w./-]*:\d+: \w*(?:Error|Exception|Failed|Exit|Interrupt)\b/,
  /^(?:FAILED|ERROR) \S+(?:::|\.py)/,
  /^(?:[\w.]+\.)?[A-Z]\w*(?:Error|Exception): \S/,
  // JavaScript: jest, vitest, mocha, node:test, node
  /^\s*● .+/,
  /^\s*(?:✗|✕|✖|×)\s+\S/,
  /^(?:\s*\d+\) )?(?:Uncaught )?(?:[A-Z]\w*)?(?:Error|Exception)(?: \[\w+\])?: \S/,
  /^not ok \d+/,
  // TypeScript, C, Rust, Go, Java
  /\berror TS\d+:/,
  /^\S+:\d+(?::\d+)?: (?:fatal )?error:/,
  /^error(?:\[E\d+\])?: \S/,
  /^thread '.*' .*panicked at\b/,
  /^panic: /,
  /^\s*--- FAIL: /,
  /: undefined reference to /,
  /^\[ERROR\] \S/,
  /^Exception in thread "/,
  // Shells and systems
  /^(?:\/bin\/)?\w*sh: (?:line )?(?:\d+: )?.*(?:not found|No such file|Permission denied|cannot)/,
  /^npm (?:ERR!|error) \S/,
  /^make(?:\[\d+\])?: \*\*\* /,
  /^fatal: \S/,
  /Segmentation fault|core dumped|^Killed$/,
  /^(?:##\[error\]|::error\b)/,
];

const weak =
  /\b(?:errors?|fatal|failed|failures?|panic(?:ked)?|exceptions?|assertion)\b(?!s?["']?\s*[:=]\s*(?:0|none|null|false)\b)/i;
/** "0 errors", "no failures", "error-free": good news. */
const harmless =
  /\b(?:0|no|zero|without)\s+(?:\w+\s+)?(?:errors?|failures?|failed)\b|error[-_ ]?free|\berrors?: 0\b/i;

/** What stands before the words: times, counters, names of services. */
const prefix = /^(?:\[[^\]]{1,40}\]\s*|\d{4}-\d\d-\d\d[T ][\d:.,]+Z?\s+|\d\d:\d\d:\d\d[\d.,]*\s+)+/;

const maxLength = 1000;

export function errorWeight(line: string): ErrorWeight {
  const text = line.length > maxLength ? line.slice(0, maxLength) : line;
  if (strong.some((pattern) => pattern.test(text))) return 2;
  const bare = text.replace(prefix, "");
  if (bare !== text && strong.some((pattern) => pattern.test(bare))) return 2;
  return weak.test(text) && !harmless.test(text) ? 1 : 0;
}
