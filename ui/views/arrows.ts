interface ArrowPress
  extends Pick<KeyboardEvent, "key" | "altKey" | "ctrlKey" | "metaKey" | "preventDefault"> {
  readonly currentTarget: Element;
}

/**
 * Arrow keys move the focus among the links of a picture, which so needs no more than one stop of the Tab key.
 * It is made of rows ([data-row]), or is one.
 */
export function moveByArrows(event: ArrowPress): void {
  // Alt and an arrow is the browser's way back.
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const along = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const across = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  const from = document.activeElement;
  const row = from?.closest("[data-row]");
  if (!from || !row || !event.currentTarget.contains(row)) return;
  let to: Link | undefined;
  if (along !== undefined) {
    const links = linksOf(row);
    to = links[links.findIndex((link) => link.isSameNode(from)) + along];
  } else if (across !== undefined) {
    const rows = [...event.currentTarget.querySelectorAll("[data-row]")];
    const next = rows[rows.indexOf(row) + across];
    // Not every row has a link everywhere: to what stands closest.
    const gap = (link: Link) => Math.abs(middleOf(link) - middleOf(from));
    if (next) [to] = linksOf(next).sort((a, b) => gap(a) - gap(b));
  }
  if (!to) return;
  event.preventDefault();
  to.focus();
}

type Link = HTMLElement | SVGAElement;

function linksOf(row: Element): Link[] {
  return [...row.querySelectorAll<Link>("a[href], button")];
}

function middleOf(element: Element): number {
  const { left, width } = element.getBoundingClientRect();
  return left + width / 2;
}
