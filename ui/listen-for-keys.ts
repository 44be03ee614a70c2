import { keys } from "./keys.js";

export function listenForKeys(): void {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const target = event.target instanceof Element ? event.target : null;
    const { key, ctrlKey, metaKey, altKey, repeat } = event;
    const inField = target?.closest("input, textarea, select, [contenteditable]") != null;
    const onControl = target?.closest("a[href], button, summary, [role=button]") != null;
    const inDialog = document.querySelector("dialog[open]") !== null;
    const press = { key, ctrlKey, metaKey, altKey, repeat, inField, inDialog, onControl };
    if (keys.press(press, event.timeStamp)) event.preventDefault();
  });
}
