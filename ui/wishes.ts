// What each page wants besides the stream of events.

import type { Wish } from "./fetched.js";
import type { State } from "./state.js";

export function wishesOf(state: State): Wish[] {
  if (state.connection !== "open" || !state.runsLoaded) return [];
  const { route } = state;
  switch (route.page) {
    case "compare":
      return [route.left, route.right].map((run) => ({
        url: `/api/runs/${run}`,
        version: String(state.generation),
      }));
    default:
      return [];
  }
}
