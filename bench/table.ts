// The table, in the terminal and as Markdown.

import { cpus, loadavg, release, totalmem } from "node:os";
import { type Row, type Spread, spread } from "./measure.js";

export interface Section {
  readonly name: string;
  readonly rows: readonly Row[];
  /** Why there are none. */
  readonly missing?: string;
}

const headings = ["what", "measured", "baseline", "ratio", "min - max", "target"];

export function terminalTable(sections: readonly Section[]): string {
  const lines = [headings, ...sections.flatMap(({ rows }) => rows.map(cells))];
  const widths = headings.map((_, column) =>
    Math.max(...lines.map((line) => line[column]!.length)),
  );
  const table = lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd(),
  );
  return [...table, ...missingOf(sections)].join("\n");
}

export function markdown(sections: readonly Section[], { version }: { version: string }): string {
  const processors = cpus();
  const facts = [
    `Machine: ${processors.length} x ${processors[0]?.model.trim() ?? "unknown processor"}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, ${process.platform} ${release()}`,
    `Versions: bettertest ${version}, Node ${process.versions.node}`,
    `Date: ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC, load at the end ${loadavg()[0]!.toFixed(1)}`,
  ];
  const row = (columns: readonly string[]) => `| ${columns.join(" | ")} |`;
  const all = sections.flatMap(({ rows }) => rows);
  const notes = all.flatMap(({ what, against, note }) => [
    `- **${what}**: against ${against}.${note ? ` ${note}.` : ""}`,
  ]);
  return [
    "# Benchmarks",
    "",
    "Written by `npm run bench`. Measured and baseline are medians; each ratio is of two neighbours in time, and its",
    "median, least and greatest are over the rounds. Reasons: [docs/performance.md](../docs/performance.md).",
    "",
    ...facts.map((fact) => `- ${fact}`),
    "",
    row(headings),
    row(headings.map(() => "---")),
    ...all.map((each) => row(cells(each).map((cell) => cell.replaceAll("|", "\\|")))),
    "",
    ...notes,
    ...missingOf(sections).map((line) => `- ${line}`),
    "",
  ].join("\n");
}

function cells({ what, unit, rounds, target }: Row): string[] {
  const ratio = spread(rounds.map(({ measured, baseline }) => measured / baseline));
  const median = (values: number[]) => `${figure(spread(values).median)} ${unit}`;
  return [
    what,
    median(rounds.map(({ measured }) => measured)),
    median(rounds.map(({ baseline }) => baseline)),
    figure(ratio.median),
    range(ratio),
    target,
  ];
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
