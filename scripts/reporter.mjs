// How test results travel and how they are shown. The default export runs inside the process of each test
// file, as Node's custom reporter: it writes what happens to file descriptor 3, one JSON line each. The
// rest runs in scripts/run-tests.mjs and turns that into lines for people.
import { writeSync } from "node:fs";
import { inspect } from "node:util";

export default async function* report(source) {
  for await (const { type, data } of source) {
    if (type === "test:dequeue") send({ type: "start", name: data.name });
    if (type === "test:pass" || type === "test:fail") send(resultOf(type, data));
  }
  // Everything goes by descriptor 3: stdout is the test's own.
  yield "";
}

function send(message) {
  const bytes = Buffer.from(`${JSON.stringify(message)}\n`);
  for (let sent = 0; sent < bytes.length; ) {
    try {
      sent += writeSync(3, bytes, sent);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

function resultOf(type, { name, nesting, details, skip, todo }) {
  const result = { type: "result", name, nesting, suite: details.type === "suite" };
  if (skip !== undefined || todo !== undefined) {
    const reason = skip ?? todo;
    return { ...result, status: "skipped", reason: typeof reason === "string" ? reason : "" };
  }
  if (type === "test:pass") return { ...result, status: "passed" };
  const { failureType, cause } = details.error;
  // A parent is red for its children's sake; their own errors are the ones to read.
  const error = failureType === "subtestsFailed" ? "" : errorText(cause ?? details.error);
  return { ...result, status: "failed", error };
}

/** Message, difference and the stack's own lines; Node's internals help nobody. */
function errorText(error) {
  if (!(error instanceof Error) || !error.stack) return inspect(error, { depth: 4 });
  const lines = error.stack.split("\n").filter((line) => !/^\s+at .*\bnode:/.test(line));
  const cause = error.cause ? `\n[cause]: ${errorText(error.cause)}` : "";
  return `${lines.join("\n")}${cause}`;
}

/** The results of one file, in words. */
export class FileReport {
  constructor(file, path) {
    this.file = file;
    this.path = path;
    this.passed = 0;
    this.skipped = [];
    this.failures = [];
    /** What failed while other files ran, where all has passed alone. */
    this.crowded = [];
    this.durationMs = 0;
    this.output = "";
    /** Names of the tests around the one whose result comes next, outermost first. */
    this.#children = [];
  }

  #children;

  add({ name, nesting, suite, status, reason, error }) {
    // A parent's result comes after its children's, so their names wait here for it.
    if (status === "failed" && error !== "") {
      const failure = { names: [name], error, nesting };
      this.failures.push(failure);
      this.#children.push(failure);
    }
    const mine = this.#children.filter((child) => child.nesting > nesting);
    for (const child of mine) {
      child.names.unshift(name);
      child.nesting = nesting;
    }
    if (suite) return;
    if (status === "passed") this.passed += 1;
    if (status === "skipped") this.skipped.push({ name, reason });
  }

  fail(name, error) {
    this.failures.push({ names: [name], error, nesting: 0 });
  }

  /** Not where one in many random cases has failed, which would just not be met again, or where something was left. */
  get mayPassAlone() {
    return this.failures.every(
      ({ names, error }) => names[0] !== "leftovers" && !error.includes("Property failed"),
    );
  }

  line() {
    const counts = [`${this.passed} passed`];
    if (this.failures.length > 0) counts.push(`${this.failures.length} failed`);
    if (this.skipped.length > 0) counts.push(`${this.skipped.length} skipped`);
    const sign = this.failures.length > 0 ? "✗" : "✓";
    return `${sign} ${this.file}  ${counts.join(", ")}  ${seconds(this.durationMs)}`;
  }
}

/**
 * The end of the report; its last line is the verdict. Where a skip is a failure (in CI, which exists to run
 * everything), it is counted as one.
 */
export function summarize(reports, { skipIsFailure }) {
  const lines = [];
  for (const report of reports) {
    for (const { names, error } of report.failures) {
      lines.push("", `✗ ${report.file} > ${names.join(" > ")}`, indent(error));
    }
    if (report.failures.length > 0 && report.output.trim() !== "") {
      lines.push("", `  what ${report.file} printed:`, indent(report.output.trimEnd()));
    }
  }
  for (const report of reports) {
    for (const { names, error } of report.crowded) {
      lines.push("", `FLAKY, passed alone: ${report.file} > ${names.join(" > ")}`, indent(error));
    }
  }
  const skipped = reports.flatMap((report) =>
    report.skipped.map((skip) => ({ file: report.file, ...skip })),
  );
  if (skipped.length > 0) lines.push("");
  for (const { file, name, reason } of skipped) {
    const word = skipIsFailure ? "NOT RUN, which is a failure in CI" : "SKIPPED";
    lines.push(`${word}: ${file} > ${name}${reason ? ` (${reason})` : ""}`);
  }
  const slowest = reports.toSorted((a, b) => b.durationMs - a.durationMs).slice(0, 5);
  if (reports.length > 1) {
    const names = slowest.map(({ file, durationMs }) => `${file} ${seconds(durationMs)}`);
    lines.push("", `slowest: ${names.join(", ")}`);
  }
  const passed = reports.reduce((sum, report) => sum + report.passed, 0);
  let failed = reports.reduce((sum, report) => sum + report.failures.length, 0);
  if (skipIsFailure) failed += skipped.length;
  // Nothing run is nothing proven.
  const nothing = passed + failed === 0;
  if (nothing) lines.push("", "No test was run.");
  const tail = skipped.length > 0 && !skipIsFailure ? `, ${skipped.length} skipped` : "";
  lines.push("", `${passed} passed, ${failed} failed${tail}`);
  return { text: lines.join("\n"), ok: failed === 0 && !nothing };
}

const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
const indent = (text) => text.replace(/^(?=.)/gm, "    ");
