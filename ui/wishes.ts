// What each page wants besides the stream of events.

import type { Wish } from "./fetched.js";
import { pipelineOf, type State, wantsTrends } from "./state.js";
import { historyUrl, runUrl, trendUrl, usualUrl } from "./urls.js";

export function wishesOf(state: State): Wish[] {
  if (state.connection !== "open" || !state.runsLoaded) return [];
  const { route, generation } = state;
  const again = String(generation);
  switch (route.page) {
    case "home":
      return (state.pipelines ?? []).flatMap(({ name }) => {
        const usual = usualWish(state, name);
        // Once: whatever happens to a run that it shows is told from then on.
        return wantsTrends(state) ? [usual, { url: trendUrl(name), version: again }] : [usual];
      });
    case "run":
    case "timeline": {
      const pipeline = pipelineOf(state);
      return pipeline === null ? [] : [usualWish(state, pipeline)];
    }
    case "history":
      return [{ url: historyUrl(route.pipeline), version: endedOf(state, route.pipeline) }];
    case "compare":
      // One that goes on is followed by its events.
      return [route.left, route.right].flatMap((run) => {
        const finishedAt = state.runs.get(run)?.summary?.finishedAt;
        return finishedAt === null
          ? []
          : [{ url: runUrl(run), version: `${again}/${finishedAt ?? ""}` }];
      });
    default:
      return [];
  }
}

function usualWish(state: State, pipeline: string): Wish {
  return { url: usualUrl(pipeline), version: endedOf(state, pipeline) };
}

/** Changes whenever a run of the pipeline has ended. The last one to end need not be the newest. */
function endedOf(state: State, pipeline: string): string {
  let last = 0;
  for (const { summary } of state.runs.values()) {
    if (summary?.pipeline === pipeline) last = Math.max(last, summary.finishedAt ?? 0);
  }
  return `${state.generation}/${last}`;
}
