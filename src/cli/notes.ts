// Remarks of the machinery beside a run, on stderr. While a picture is drawn they wait: two writers on one
// terminal would tear it.

import { harmlessText } from "../terminal/text.js";

export interface Notes {
  readonly add: (line: string) => void;
  hold(): void;
  release(): void;
}

export function createNotes(write = (text: string) => void process.stderr.write(text)): Notes {
  const said = new Set<string>();
  let held: string[] | null = null;
  const say = (line: string) => {
    // A pipedef is loaded once to look at it and once for the run; what it says is worth one line.
    if (said.has(line)) return;
    said.add(line);
    write(`${harmlessText(line)}\n`);
  };
  return {
    add: (line) => {
      if (held) held.push(line);
      else say(line);
    },
    hold: () => {
      held ??= [];
    },
    release: () => {
      const lines = held ?? [];
      held = null;
      for (const line of lines) say(line);
    },
  };
}
