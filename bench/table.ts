// The table, in the terminal and as Markdown.

import { cpus, release, totalmem } from "node:os";
import { isMet, type Row, ratios, type Spread, spread, type Target } from "./measure.js";

export interface Section {
  readonly name: string;
  readonly rows: readonly Row[];
  /** Why there are none. */
  readonly missing?: string;
  /** What the machine did before. */
  readonly before: Machine;
  readonly tookMs: number;
}

export interface Machine {
  /** Of the last minute, our own work included. */
  readonly load: number;
  /** Of its processors, what others took while we did nothing. */
  readonly othersShare: number;
}

/** Beyond this the figures are those of a busy machine. */
const quietShare = 0.1;

export function isBusy({ before }: Section): boolean {
  return before.othersShare > quietShare;
}

const headings = ["what", "measured", "baseline", "ratio", "min - max", "target", "met"];

export function terminalTable(sections: readonly Section[]): string {
  const lines = [headings, ...sections.flatMap(rowsOf)];
  const widths = headings.map((_, column) =>
    Math.max(...lines.map((line) => line[column]!.length)),
  );
  const text = (line: readonly string[]) =>
    line
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd();
  const [head, ...rows] = lines.map(text);
  const rule = widths.map((width) => "─".repeat(width)).join("  ");
  const footnote = sections.some(isBusy) ? ["", busyWords] : [];
  return [head, rule, ...rows, "", tally(sections), ...footnote, ...missingOf(sections)].join("\n");
}

export interface Occasion {
  readonly version: string;
  readonly docker: string;
  readonly python: string;
  /** Made busy for the purpose. */
  readonly busy: boolean;
}

export function markdown(sections: readonly Section[], occasion: Occasion): string {
  const { version, docker, python, busy } = occasion;
  const processors = cpus();
  const seconds = sections.reduce((sum, { tookMs }) => sum + tookMs, 0) / 1000;
  const facts = [
    `Machine: ${processors.length} x ${processors[0]?.model.trim() ?? "unknown processor"}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, ${process.platform} ${release()}${busy ? ", kept busy by as many endless loops as it has processors" : ""}`,
    `Versions: bettertest ${version}, Node ${process.versions.node}, Docker ${docker}, ${python}`,
    `Date: ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC, measured in ${Math.round(seconds)} s`,
    tally(sections),
  ];
  const row = (columns: readonly string[]) => `| ${columns.join(" | ")} |`;
  const all = sections.flatMap(({ rows }) => rows);
  const notes = all.map(
    ({ what, against, note }) => `- **${what}**: against ${against}.${note ? ` ${note}.` : ""}`,
  );
  return [
    busy ? "# Benchmarks, on a busy machine" : "# Benchmarks",
    "",
    `Written by \`npm run bench${busy ? " -- --busy" : ""}\`. Measured and baseline are medians; each ratio is of two neighbours in time, and its`,
    "median, least and greatest are over the rounds. Reasons: [docs/performance.md](../docs/performance.md).",
    "",
    ...facts.map((fact) => `- ${fact}`),
    "",
    row(headings),
    row(headings.map(() => "---")),
    ...sections
      .flatMap(rowsOf)
      .map((cells) => row(cells.map((cell) => cell.replaceAll("|", "\\|")))),
    "",
    ...(sections.some(isBusy) ? [busyWords, ""] : []),
    ...notes,
    ...missingOf(sections).map((line) => `- ${line}`),
    "",
    "What the machine did before each benchmark: its load (our own work before included), and what others took of its",
    "processors while nothing was measured.",
    "",
    row(["benchmark", "load", "others"]),
    row(["---", "---", "---"]),
    ...sections.map(({ name, before }) =>
      row([name, before.load.toFixed(1), `${Math.round(before.othersShare * 100)} %`]),
    ),
    "",
  ].join("\n");
}

const busyWords = "*: the machine was busy with other work.";

function rowsOf(section: Section): string[][] {
  const mark = isBusy(section) ? " *" : "";
  return section.rows.map((row) => cells(row, mark));
}

function cells(row: Row, mark: string): string[] {
  const { what, unit, rounds, target } = row;
  const ratio = ratios(row);
  const median = (values: number[]) => `${figure(spread(values).median)} ${unit}`;
  const met = isMet(row);
  return [
    what + mark,
    median(rounds.map(({ measured }) => measured)),
    median(rounds.map(({ baseline }) => baseline)),
    figure(ratio.median),
    range(ratio),
    target ? targetWords(target, unit) : "",
    met === null ? "" : met ? "yes" : "no",
  ];
}

function targetWords({ of, atMost, atLeast }: Target, unit: string): string {
  const limit = atMost === undefined ? `>= ${atLeast}` : `<= ${atMost}`;
  return of === "ratio" ? `ratio ${limit}` : `${limit} ${unit}`;
}

function tally(sections: readonly Section[]): string {
  const met = sections.flatMap(({ rows }) => rows.map(isMet)).filter((each) => each !== null);
  return `Targets met: ${met.filter(Boolean).length} of ${met.length}`;
}

function range({ min, max }: Spread): string {
  return `${figure(min)} - ${figure(max)}`;
}

/** Three digits that count. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (Math.abs(value) >= 1000) return Math.round(value).toString();
  return String(Number(value.toPrecision(3)));
}

function missingOf(sections: readonly Section[]): string[] {
  return sections.flatMap(({ name, missing }) => (missing ? [`${name}: ${missing}`] : []));
}
