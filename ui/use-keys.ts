import { useLayoutEffect, useRef } from "preact/hooks";
import { type KeyBinding, keys } from "./keys.js";

/** Registers keys for as long as the component is on the screen. */
export function useKeys(bindings: readonly KeyBinding[]): void {
  const latest = useRef(bindings);
  latest.current = bindings;
  // Before the reader sees the page: who sees it may press a key.
  useLayoutEffect(() => keys.register(() => latest.current), []);
}
