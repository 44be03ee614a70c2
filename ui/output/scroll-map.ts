// Scroll positions of more rows than a browser can stack: none makes an element of 20 million pixels. Up to
// `maxHeight` a row is where its number says; beyond, the height stays and stands for all rows.

export const rowHeight = 20;
const maxHeight = 8_000_000;

export interface Extent {
  readonly rows: number;
  readonly viewHeight: number;
}

export function contentHeight({ rows }: Extent): number {
  return Math.min(rows * rowHeight, maxHeight);
}

/** Where to scroll so that this row (a fraction counts too) stands at the top. */
export function scrollOf(row: number, extent: Extent): number {
  const { rows, viewHeight } = extent;
  const lastTop = rows - viewHeight / rowHeight;
  const range = Math.max(0, contentHeight(extent) - viewHeight);
  if (lastTop <= 0) return 0;
  return Math.max(0, Math.min(1, row / lastTop)) * range;
}

/** The row at the top when scrolled so far. */
export function rowAt(scrollTop: number, extent: Extent): number {
  const { rows, viewHeight } = extent;
  const range = contentHeight(extent) - viewHeight;
  if (range <= 0) return 0;
  const lastTop = Math.max(0, rows - viewHeight / rowHeight);
  return Math.max(0, Math.min(1, scrollTop / range)) * lastTop;
}
