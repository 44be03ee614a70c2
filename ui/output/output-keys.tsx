// The keys of the output, for as long as one is shown.

import { useKeys } from "../use-keys.js";

interface Props {
  readonly hasQuery: boolean;
  readonly search: () => void;
  readonly nextMatch: (by: 1 | -1) => void;
  readonly nextError: (by: 1 | -1) => void;
  readonly toStart: () => void;
  readonly toEnd: () => void;
  readonly toggleTimes: () => void;
  readonly toggleWrap: () => void;
  readonly toggleFollow: () => void;
}

export function OutputKeys(props: Props) {
  const group = "Output";
  useKeys([
    { keys: "/", words: "Search in the output", group, run: props.search },
    ...(props.hasQuery
      ? [
          { keys: "n", words: "Next match", group, repeats: true, run: () => props.nextMatch(1) },
          {
            keys: "N",
            words: "Match before",
            group,
            repeats: true,
            run: () => props.nextMatch(-1),
          },
        ]
      : []),
    {
      keys: "e",
      words: "First error, then the next",
      group,
      repeats: true,
      run: () => props.nextError(1),
    },
    { keys: "E", words: "Error before", group, repeats: true, run: () => props.nextError(-1) },
    { keys: "Home", words: "Begin of the output", group, run: props.toStart },
    { keys: "End", words: "End of the output; follow it", group, run: props.toEnd },
    { keys: "g g", words: "Begin of the output", group, run: props.toStart },
    { keys: "G", words: "End of the output; follow it", group, run: props.toEnd },
    { keys: "F", words: "Follow the end, or not", group, run: props.toggleFollow },
    { keys: "T", words: "Times of the lines", group, run: props.toggleTimes },
    { keys: "w", words: "Wrap long lines", group, run: props.toggleWrap },
  ]);
  return null;
}
