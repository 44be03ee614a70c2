// Columns for people: as wide as their widest cell, two spaces between them.

import { padText, textWidth } from "../terminal/text.js";

export interface Column {
  readonly title: string;
  readonly align?: "right";
}

/** Cells may be coloured. The last column is not padded. */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string[] {
  const all = [columns.map((column) => column.title), ...rows];
  const widths = columns.map((_, index) =>
    Math.max(...all.map((row) => textWidth(row[index] ?? ""))),
  );
  return all.map((row) =>
    row
      .map((cell, index) => {
        const width = widths[index] ?? 0;
        if (columns[index]?.align === "right") return " ".repeat(width - textWidth(cell)) + cell;
        return padText(cell, width);
      })
      .join("  ")
      .trimEnd(),
  );
}
