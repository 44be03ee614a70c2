// A list of any length of which only what is in sight is in the document. It scrolls with the nearest element
// around it that scrolls, whichever that is in the present layout.

import type { VNode } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

interface Props<Item> {
  readonly items: readonly Item[];
  heightOf(item: Item): number;
  keyOf(item: Item): string;
  render(item: Item): VNode;
  readonly label: string;
  /** Brought into sight when it becomes another one. */
  readonly current?: string | null;
}

/** Drawn beyond the edges, so that a flick of the wheel shows no hole. */
const marginPx = 400;

export function VirtualList<Item>({ items, heightOf, keyOf, render, label, current }: Props<Item>) {
  const element = useRef<HTMLUListElement>(null);
  const tops = useMemo(() => {
    const found = new Float64Array(items.length + 1);
    items.forEach((item, index) => {
      found[index + 1] = found[index]! + heightOf(item);
    });
    return found;
  }, [items, heightOf]);
  const [view, setView] = useState({ top: 0, bottom: 1500 });

  useLayoutEffect(() => {
    const list = element.current;
    if (!list) return;
    const measure = () => {
      const scroller = scrollerOf(list);
      const frame = scroller.getBoundingClientRect();
      const top = Math.max(frame.top, 0) - list.getBoundingClientRect().top;
      const height = Math.min(frame.height, innerHeight);
      // In steps, so that not every pixel of scrolling draws anew.
      const first = Math.floor((top - marginPx) / 100) * 100;
      const last = Math.ceil((top + height + marginPx) / 100) * 100;
      setView((before) =>
        before.top === first && before.bottom === last ? before : { top: first, bottom: last },
      );
    };
    measure();
    // Caught on its way down: scrolling does not bubble.
    addEventListener("scroll", measure, { capture: true, passive: true });
    const observer = new ResizeObserver(measure);
    observer.observe(list);
    observer.observe(document.documentElement);
    return () => {
      removeEventListener("scroll", measure, { capture: true });
      observer.disconnect();
    };
  }, []);

  const total = tops[items.length]!;
  useEffect(() => {
    const list = element.current;
    const index = current == null ? -1 : items.findIndex((item) => keyOf(item) === current);
    if (!list || index < 0) return;
    const scroller = scrollerOf(list);
    const frame = scroller.getBoundingClientRect();
    const offset = list.getBoundingClientRect().top - Math.max(frame.top, 0);
    const [top, bottom] = [offset + tops[index]!, offset + tops[index + 1]!];
    const height = Math.min(frame.height, innerHeight);
    if (top < 60) scroller.scrollBy(0, top - 80);
    else if (bottom > height) scroller.scrollBy(0, bottom - height + 40);
  }, [current]);

  const first = firstBelow(tops, view.top);
  const rows: VNode[] = [];
  for (let index = first; index < items.length && tops[index]! < view.bottom; index += 1) {
    const item = items[index]!;
    rows.push(
      <li
        key={keyOf(item)}
        class="virtual-row"
        aria-setsize={items.length}
        aria-posinset={index + 1}
        style={{ transform: `translateY(${tops[index]}px)`, height: `${heightOf(item)}px` }}
      >
        {render(item)}
      </li>,
    );
  }
  return (
    <ul class="virtual" aria-label={label} ref={element} style={{ height: `${total}px` }}>
      {rows}
    </ul>
  );
}

function scrollerOf(element: Element): Element {
  for (let at = element.parentElement; at; at = at.parentElement) {
    if (/auto|scroll/.test(getComputedStyle(at).overflowY)) return at;
  }
  return document.scrollingElement ?? document.documentElement;
}

/** The first item whose end lies behind the place. */
function firstBelow(tops: Float64Array, place: number): number {
  let low = 0;
  let high = Math.max(0, tops.length - 2);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (tops[middle + 1]! < place) low = middle + 1;
    else high = middle;
  }
  return low;
}
