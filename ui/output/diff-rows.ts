// A place where two outputs differ, as rows of two sides.

export interface DiffSide {
  readonly number: number;
  readonly text: string;
}

export type DiffRow =
  | { readonly kind: "same"; readonly left: DiffSide; readonly right: DiffSide }
  | { readonly kind: "changed"; readonly left: DiffSide | null; readonly right: DiffSide | null }
  | { readonly kind: "omitted"; readonly lines: number };

export interface Place {
  /** From `around` lines before the place on. */
  readonly left: readonly string[];
  readonly right: readonly string[];
  readonly around: number;
  /** First lines that differ, and how many. */
  readonly before: number;
  readonly beforeCount: number;
  readonly now: number;
  readonly nowCount: number;
  readonly maxHunkLines: number;
}

export function rowsOf(place: Place): DiffRow[] {
  const { left, right, around, before, beforeCount, now, nowCount, maxHunkLines } = place;
  const side = (texts: readonly string[], first: number, at: number): DiffSide | null => {
    const text = texts[at];
    return text === undefined ? null : { number: first - around + at, text };
  };
  const rows: DiffRow[] = [];
  const same = (fromLeft: number, fromRight: number) => {
    const a = side(left, before, fromLeft);
    const b = side(right, now, fromRight);
    if (a && b) rows.push({ kind: "same", left: a, right: b });
  };
  for (let i = 0; i < around; i += 1) same(i, i);
  const most = Math.max(beforeCount, nowCount);
  for (let i = 0; i < Math.min(most, maxHunkLines); i += 1) {
    rows.push({
      kind: "changed",
      left: i < beforeCount ? side(left, before, around + i) : null,
      right: i < nowCount ? side(right, now, around + i) : null,
    });
  }
  if (most > maxHunkLines) rows.push({ kind: "omitted", lines: most - maxHunkLines });
  else {
    for (let i = around; i < left.length - beforeCount; i += 1) same(i + beforeCount, i + nowCount);
  }
  return rows;
}
