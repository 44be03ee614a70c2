// Parts of the page that are fetched when they are first needed.

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { again } from "./request.js";

/** A network that changes breaks off what is under way; a moment later it works. */
const pausesMs = [300, 900, 2700];

export function lazy<Props extends object>(
  load: () => Promise<ComponentType<Props>>,
): ComponentType<Props> {
  let loaded: ComponentType<Props> | null = null;
  return function Lazy(props: Props) {
    const [, redraw] = useState(0);
    const [problem, setProblem] = useState(false);
    useEffect(() => {
      if (loaded || problem) return;
      let isHere = true;
      again(load, pausesMs).then(
        (component) => {
          loaded = component;
          if (isHere) redraw((count) => count + 1);
        },
        () => isHere && setProblem(true),
      );
      return () => {
        isHere = false;
      };
    }, [problem]);
    const View = loaded;
    if (View) return <View {...props} />;
    if (!problem) return <p class="loading">Loading...</p>;
    return (
      <div class="empty" role="alert">
        <p>This part of the page could not be fetched: the boss does not answer.</p>
        <button type="button" onClick={() => location.reload()}>
          Load the page again
        </button>
      </div>
    );
  };
}
