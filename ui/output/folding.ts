// What an output that may still grow shows of itself: which of its folds are closed, and which begin in a line.

import type { OutputFold } from "../../src/wire/boss.js";
import { type FoldKey, FoldMap, foldKey, isFolded, type Toggled } from "./fold-map.js";
import type { OutputSource } from "./output-source.js";

export class Folding {
  #map = new FoldMap(0, [], new Set());
  #starts = new Map<number, OutputFold>();
  #toggled: Toggled = new Set();
  /** What the map was made of. */
  #source: OutputSource | null = null;
  #state = "";

  /** Another one only where something has changed. */
  mapOf(source: OutputSource, toggled: Toggled): FoldMap {
    const state = `${source.lines} ${source.foldVersion}`;
    if (source === this.#source && state === this.#state && toggled === this.#toggled)
      return this.#map;
    this.#source = source;
    this.#state = state;
    this.#toggled = toggled;
    this.#map = new FoldMap(source.lines, source.folds.values(), toggled);
    this.#starts = new Map();
    for (const fold of source.folds.values()) {
      // A section is more than its first line being repeated.
      const known = this.#starts.get(fold.first);
      if (!known || known.kind === "repeat") this.#starts.set(fold.first, fold);
    }
    return this.#map;
  }

  at(line: number): { readonly fold: OutputFold; readonly isFolded: boolean } | null {
    const fold = this.#starts.get(line);
    return fold ? { fold, isFolded: isFolded(fold, this.#toggled) } : null;
  }
}

export function withToggled(toggled: Toggled, fold: OutputFold): Toggled {
  const changed = new Set(toggled);
  toggle(changed, fold);
  return changed;
}

/** Opens what hides that line. */
export function withLineShown(
  toggled: Toggled,
  folds: Iterable<OutputFold>,
  line: number,
): Toggled {
  const changed = new Set(toggled);
  for (const fold of folds) {
    const last = fold.last ?? Number.POSITIVE_INFINITY;
    if (fold.first < line && line <= last && isFolded(fold, changed)) toggle(changed, fold);
  }
  return changed;
}

function toggle(toggled: Set<FoldKey>, fold: OutputFold): void {
  const key = foldKey(fold);
  if (!toggled.delete(key)) toggled.add(key);
}
