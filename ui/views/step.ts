import type { KeyBinding } from "../keys.js";

/** j and k move the focus along what can be chosen on the page. */
export function stepKeys(what: string, group: string): KeyBinding[] {
  return [
    { keys: "j", words: `Next ${what}`, group, repeats: true, run: () => stepThrough(1) },
    { keys: "k", words: `Previous ${what}`, group, repeats: true, run: () => stepThrough(-1) },
  ];
}

function stepThrough(step: 1 | -1): void {
  const items = [...document.querySelectorAll<HTMLElement>("[data-item]")];
  const active = document.activeElement;
  const at = active instanceof HTMLElement ? items.indexOf(active) : -1;
  const next = items[at < 0 ? (step > 0 ? 0 : items.length - 1) : at + step];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}
