// The window onto an output: only rows that can be seen, and some around them, exist in the page.
//
// Rows may have any height where lines are wrapped, and there may be more of them than a browser can stack.
// So what is on the screen hangs on one line, the anchor: whatever changes, it stays where it is. The scroll
// bar is brought in line with it when the scrolling pauses, which nobody sees.

import { Component } from "preact";
import type { OutputFold } from "../../src/wire/boss.js";
import type { FoldMap } from "./fold-map.js";
import type { OutputSource } from "./output-source.js";
import type { Query } from "./query.js";
import { Row } from "./row.js";
import { contentHeight, rowAt, rowHeight, scrollOf } from "./scroll-map.js";

export interface ViewportProps {
  /** Called with the viewport while it is there. */
  readonly hold: (viewport: Viewport | null) => void;
  readonly source: OutputSource;
  readonly map: FoldMap;
  readonly isWrapped: boolean;
  /** A fold by its first line. */
  readonly foldAt: (
    line: number,
  ) => { readonly fold: OutputFold; readonly isFolded: boolean } | null;
  readonly toggleFold: (fold: OutputFold) => void;
  readonly timeOf: ((offset: number) => string | null) | null;
  readonly isChosen: (line: number) => boolean;
  readonly hrefOf: (line: number) => string;
  readonly chooseLine: (line: number, isRange: boolean) => void;
  readonly query: Query | null;
  readonly isMatch: (line: number) => boolean;
  readonly current: number | null;
  readonly isFollowing: boolean;
  readonly setFollowing: (isFollowing: boolean) => void;
  /** Grows when the lines that are there have changed. */
  readonly version: number;
}

/** Where a line shall stand, in pixels below the upper edge. */
interface Anchor {
  readonly line: number;
  readonly y: number;
}

/** So many rows simply stand below each other, all of them. */
const naturalRows = 600;
/** A selection keeps its rows in the page, if it is not larger than this. */
const maxSelectedRows = 3000;
const idleMs = 150;

export class Viewport extends Component<ViewportProps> {
  #element: HTMLElement | null = null;
  #block: HTMLDivElement | null = null;
  #first = 0;
  #last = 0;
  /** Of the block, in the scrolled content. */
  #top = 0;
  #scrollTop = 0;
  #viewHeight = 600;
  /** What the next drawing shall show. */
  #goal: Anchor | "end" | null = null;
  #idle: ReturnType<typeof setTimeout> | undefined;
  #resized: ResizeObserver | null = null;
  #isReady = false;

  override componentDidMount() {
    const element = this.#element!;
    this.#viewHeight = element.clientHeight;
    this.#resized = new ResizeObserver(() => {
      if (element.clientHeight === this.#viewHeight) return;
      this.#viewHeight = element.clientHeight;
      this.forceUpdate();
    });
    this.#resized.observe(element);
    document.addEventListener("selectionchange", this.#onSelection);
    this.#isReady = true;
    this.props.hold(this);
    this.forceUpdate();
  }

  override componentWillUnmount() {
    this.props.hold(null);
    clearTimeout(this.#idle);
    this.#resized?.disconnect();
    document.removeEventListener("selectionchange", this.#onSelection);
  }

  get #isNatural(): boolean {
    return this.props.map.rows <= naturalRows;
  }

  get #extent() {
    return { rows: this.props.map.rows, viewHeight: this.#viewHeight };
  }

  get #seenRows(): number {
    return Math.ceil(this.#viewHeight / rowHeight);
  }

  // What whoever holds it can do.

  goToLine(line: number, { atTop = false } = {}) {
    const y = atTop ? 0 : Math.round(this.#viewHeight / 3);
    this.#goal = { line, y };
    this.props.setFollowing(false);
    this.forceUpdate();
  }

  goToStart() {
    this.goToLine(1, { atTop: true });
  }

  goToEnd() {
    this.#goal = "end";
    this.forceUpdate();
  }

  focus() {
    this.#element?.focus({ preventScroll: true });
  }

  /** The first line that is seen whole. */
  topLine(): number {
    const anchor = this.#anchor();
    return anchor ? anchor.line + (anchor.y < 0 ? 1 : 0) : 1;
  }

  // Which rows are drawn.

  #chooseRows() {
    const { map, isFollowing } = this.props;
    if (this.#isNatural) {
      this.#first = 0;
      this.#last = map.rows;
      return;
    }
    const around = this.#seenRows;
    const goal = this.#goal ?? (isFollowing ? "end" : null);
    if (goal === "end") this.#setRows(map.rows - 2 * around, map.rows);
    else if (goal) {
      const row = map.rowOf(goal.line);
      this.#setRows(row - 2 * around, row + 2 * around);
    } else {
      const anchor = this.#anchor();
      const row = anchor ? map.rowOf(anchor.line) : this.#first;
      // Scrolled beyond what is drawn: from there to here.
      const above = Math.max(0, Math.ceil((anchor?.y ?? 0) / rowHeight));
      const below = Math.ceil(this.#beyond() / rowHeight);
      this.#setRows(row - above - around, row + below + 2 * around);
      this.#keepSelection();
    }
  }

  #setRows(first: number, last: number) {
    const { rows } = this.props.map;
    this.#first = Math.max(0, Math.min(first, rows - 1));
    this.#last = Math.min(rows, Math.max(last, this.#first + 1));
  }

  #selected: readonly [number, number] | null = null;
  #onSelection = () => {
    const selection = getSelection();
    this.#selected = null;
    if (!selection || selection.isCollapsed || !this.#block) return;
    const lines = [selection.anchorNode, selection.focusNode].map((node) => {
      const element = node instanceof Element ? node : node?.parentElement;
      if (!element || !this.#block!.contains(element)) return null;
      return Number(element.closest<HTMLElement>("[data-line]")?.dataset.line ?? Number.NaN);
    });
    const [a, b] = lines;
    if (a == null || b == null || Number.isNaN(a + b)) return;
    this.#selected = [Math.min(a, b), Math.max(a, b)];
  };

  #keepSelection() {
    if (!this.#selected) return;
    const [first, last] = this.#selected.map((line) => this.props.map.rowOf(line)) as [
      number,
      number,
    ];
    const from = Math.min(first, this.#first);
    const to = Math.max(last + 1, this.#last);
    if (to - from <= maxSelectedRows) this.#setRows(from, to);
  }

  // Where they are drawn.

  /** The line at the upper edge. */
  #anchor(): Anchor | null {
    const element = this.#element;
    const block = this.#block;
    const rows = block?.children;
    if (!element || !block || !rows || rows.length === 0) return null;
    const at = element.scrollTop - (this.#isNatural ? 0 : this.#top);
    let low = 0;
    let high = rows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((rows[middle] as HTMLElement).offsetTop <= at) low = middle;
      else high = middle - 1;
    }
    const row = rows[low] as HTMLElement;
    return { line: Number(row.dataset.line), y: row.offsetTop - at };
  }

  /** How far the upper edge is below all that is drawn. */
  #beyond(): number {
    const end = this.#top + this.#block!.offsetHeight;
    return Math.max(0, this.#element!.scrollTop - end);
  }

  override getSnapshotBeforeUpdate(): Anchor | null {
    return this.#anchor();
  }

  override componentDidUpdate(_: unknown, __: unknown, before: Anchor | null) {
    const element = this.#element!;
    const goal = this.#goal ?? (this.props.isFollowing ? "end" : null);
    this.#goal = null;
    const { map } = this.props;
    if (map.rows === 0) return;
    if (this.#isNatural) {
      this.#block!.style.top = "";
      if (goal === "end") element.scrollTop = element.scrollHeight;
      else {
        const anchor = goal ?? before;
        const row = anchor && this.#rowElement(anchor.line);
        if (anchor && row) element.scrollTop = row.offsetTop - anchor.y;
      }
      this.#scrollTop = element.scrollTop;
      return;
    }
    const height = contentHeight(this.#extent);
    let scrollTop = element.scrollTop;
    if (goal === "end") {
      scrollTop = height - this.#viewHeight;
      this.#top = height - this.#block!.offsetHeight;
    } else {
      const anchor = goal ?? before;
      const row = anchor && this.#rowElement(anchor.line);
      if (anchor && row) {
        if (goal) scrollTop = scrollOf(map.rowOf(anchor.line) - anchor.y / rowHeight, this.#extent);
        this.#top = scrollTop + anchor.y - row.offsetTop;
      }
    }
    this.#put(scrollTop);
    this.#straighten(false);
  }

  #rowElement(line: number): HTMLElement | null {
    const row = this.props.map.rowOf(line) - this.#first;
    return (this.#block?.children[row] as HTMLElement | undefined) ?? null;
  }

  #put(scrollTop: number) {
    const element = this.#element!;
    this.#block!.style.top = `${this.#top.toFixed(2)}px`;
    if (Math.abs(element.scrollTop - scrollTop) >= 1) element.scrollTop = scrollTop;
    this.#scrollTop = element.scrollTop;
  }

  /** Moves the block and the scroll bar together to where both should be; nothing moves on the screen. */
  #straighten(isIdle: boolean) {
    if (this.#isNatural || !this.#block) return;
    const { rows } = this.props.map;
    const height = contentHeight(this.#extent);
    const { scrollTop } = this.#element!;
    let shift = 0;
    if (this.#first === 0) shift = -this.#top;
    else if (this.#last === rows) shift = height - this.#top - this.#block.offsetHeight;
    else {
      const isNearEdge =
        scrollTop < 2 * this.#viewHeight || height - scrollTop < 3 * this.#viewHeight;
      if (!isIdle && !isNearEdge) return;
      const anchor = this.#anchor();
      if (!anchor) return;
      const row = this.props.map.rowOf(anchor.line) - anchor.y / rowHeight;
      shift = scrollOf(row, this.#extent) - scrollTop;
    }
    if (Math.abs(shift) < 1) return;
    this.#top += shift;
    this.#put(scrollTop + shift);
  }

  #onScroll = () => {
    const element = this.#element!;
    const { scrollTop } = element;
    const moved = scrollTop - this.#scrollTop;
    this.#scrollTop = scrollTop;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#straighten(true), idleMs);
    if (Math.abs(moved) < 1) return;
    const below = element.scrollHeight - element.clientHeight - scrollTop;
    const isAtEnd = below < rowHeight / 2;
    if (moved < 0 && this.props.isFollowing && !isAtEnd) this.props.setFollowing(false);
    else if (moved > 0 && isAtEnd && this.#last === this.props.map.rows)
      this.props.setFollowing(true);
    if (this.#isNatural) return;
    // Far, or to the very end at once: by the thumb of the scroll bar.
    const isAtEdge =
      (scrollTop === 0 && this.#first > 0) || (below < 1 && this.#last < this.props.map.rows);
    if (Math.abs(moved) > (isAtEdge ? 0.5 : 4) * this.#viewHeight) {
      this.#jump(scrollTop);
      return;
    }
    const seenFrom = scrollTop - this.#top;
    const margin = this.#viewHeight / 3;
    const isFarUp = this.#first > 0 && seenFrom < margin;
    const toEnd = this.#block!.offsetHeight - seenFrom - this.#viewHeight;
    if (isFarUp || (this.#last < this.props.map.rows && toEnd < margin)) this.forceUpdate();
    else this.#straighten(false);
  };

  /** Someone took the thumb of the scroll bar. */
  #jump(scrollTop: number) {
    const { map } = this.props;
    const height = contentHeight(this.#extent);
    if (scrollTop >= height - this.#viewHeight - 1) this.#goal = "end";
    else this.#goal = { line: map.lineOf(Math.floor(rowAt(scrollTop, this.#extent))), y: 0 };
    this.forceUpdate();
  }

  #onClick = (event: MouseEvent) => {
    const target =
      event.target instanceof Element ? event.target.closest<HTMLElement>("a.out-number") : null;
    if (!target || event.ctrlKey || event.metaKey || event.altKey || event.button !== 0) return;
    event.preventDefault();
    this.props.chooseLine(Number(target.parentElement?.dataset.line), event.shiftKey);
  };

  override render() {
    const { props } = this;
    const { map, source, isWrapped } = props;
    if (this.#isReady) this.#chooseRows();
    const rows = [];
    const first = map.rows > 0 && this.#isReady ? map.lineOf(this.#first) : 1;
    let last = first;
    for (let row = this.#first; row < Math.min(this.#last, map.rows); row += 1) {
      const number = map.lineOf(row);
      last = number;
      const line = source.line(number);
      const fold = props.foldAt(number);
      rows.push(
        <Row
          key={number}
          number={number}
          line={line}
          fold={fold?.fold ?? null}
          isFolded={fold?.isFolded ?? false}
          toggleFold={props.toggleFold}
          time={props.timeOf && line ? (props.timeOf(line.offset) ?? "") : null}
          isChosen={props.isChosen(number)}
          isCurrent={props.current === number}
          query={props.query !== null && props.isMatch(number) ? props.query : null}
          href={props.hrefOf(number)}
          source={source}
        />,
      );
    }
    if (this.#isReady) queueMicrotask(() => source.want(first, last));
    const height = this.#isNatural ? "" : `${contentHeight(this.#extent)}px`;
    return (
      <section
        class={isWrapped ? "out-scroll is-wrapped" : "out-scroll"}
        ref={(element) => {
          this.#element = element;
        }}
        aria-label="Output"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: whoever has no mouse must be able to scroll it
        tabIndex={0}
        onScroll={this.#onScroll}
      >
        {/* biome-ignore lint/a11y/noStaticElementInteractions: the links in it are what is clicked */}
        {/* biome-ignore lint/a11y/useKeyWithClickEvents: a link's Enter is a click */}
        <div class="out-space" style={{ height }} onClick={this.#onClick}>
          <div
            class={this.#isNatural ? "out-rows" : "out-rows is-placed"}
            style={{ "--digits": String(Math.max(3, String(map.lines).length)) }}
            ref={(element) => {
              this.#block = element;
            }}
          >
            {rows}
          </div>
        </div>
      </section>
    );
  }
}
