import { keys } from "./keys.js";

export function listenForKeys(): void {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const target = event.target instanceof Element ? event.target : null;
    const { key, ctrlKey, metaKey, altKey } = event;
    const inField = target?.closest("input, textarea, select, [contenteditable]") != null;
    const onControl = target?.closest("a[href], button, summary, [role=button]") != null;
    if (keys.press({ key, ctrlKey, metaKey, altKey, inField, onControl }, event.timeStamp))
      event.preventDefault();
  });
}
