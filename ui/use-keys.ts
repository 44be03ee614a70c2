import { useEffect, useRef } from "preact/hooks";
import { type KeyBinding, keys } from "./keys.js";

/** Registers keys for as long as the component is on the screen. */
export function useKeys(bindings: readonly KeyBinding[]): void {
  const latest = useRef(bindings);
  latest.current = bindings;
  useEffect(() => keys.register(() => latest.current), []);
}
