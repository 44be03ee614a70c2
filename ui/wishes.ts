// What each page wants besides the stream of events.

import type { Wish } from "./fetched.js";
import { listedRuns, maxRuns, pipelineOf, type State } from "./state.js";
import { historyUrl, trendUrl, usualUrl } from "./urls.js";

export function wishesOf(state: State): Wish[] {
  if (state.connection !== "open" || !state.runsLoaded) return [];
  const { route, generation } = state;
  const again = String(generation);
  switch (route.page) {
    case "home":
      return (state.pipelines ?? []).flatMap(({ name }) => {
        const usual = usualWish(state, name);
        // Where the list of runs holds all there are, nothing is missing in the trend.
        if (state.runs.size < maxRuns) return [usual];
        return [usual, { url: trendUrl(name), version: again }];
      });
    case "run":
    case "timeline": {
      const pipeline = pipelineOf(state);
      return pipeline === null ? [] : [usualWish(state, pipeline)];
    }
    case "history":
      return [{ url: historyUrl(route.pipeline), version: endedOf(state, route.pipeline) }];
    case "compare":
      return [route.left, route.right].map((run) => ({
        url: `/api/runs/${run}`,
        version: `${again}/${state.runs.get(run)?.summary?.finishedAt ?? ""}`,
      }));
    default:
      return [];
  }
}

function usualWish(state: State, pipeline: string): Wish {
  return { url: usualUrl(pipeline), version: endedOf(state, pipeline) };
}

/** Changes whenever a run of the pipeline has ended. */
function endedOf(state: State, pipeline: string): string {
  const newest = listedRuns(state).find(
    (run) => run.pipeline === pipeline && run.finishedAt !== null,
  );
  return `${state.generation}/${newest?.id ?? 0}/${newest?.finishedAt ?? 0}`;
}
