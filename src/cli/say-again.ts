// Commands that are suggested: what was typed, so far as it matters, in words that a shell reads back.

import { type TaskRef, taskLabel } from "../model/pipeline.js";
import { shellWord } from "../model/shell-word.js";
import type { Flags } from "./command.js";
import { programName } from "./environment.js";
import {
  bossAccessFlags,
  jsonFlag,
  keepFailedFlag,
  runHereFlags,
  selectionFlags,
} from "./flags.js";

type Given = Readonly<Record<string, unknown>>;

/** Each flag that is not at its default, after a space. */
export function givenFlags(flags: Flags, args: object): string {
  const given: Given = { ...args };
  return Object.entries(flags)
    .filter(([name, flag]) => given[name] !== undefined && given[name] !== flag.default)
    .flatMap(([name, flag]) =>
      [given[name]].flat().map((value) => {
        if (flag.type === "boolean") return value ? ` --${name}` : ` --no-${name}`;
        return ` --${name} ${shellWord(String(value))}`;
      }),
    )
    .join("");
}

/** How the boss that was asked is reached. */
export function bossArgument(args: object): string {
  return givenFlags(bossAccessFlags, args);
}

/** What was to run, how much at once and how it was shown is another matter the next time. */
const whereFlags = Object.fromEntries(
  Object.entries({ ...runHereFlags, ...keepFailedFlag }).filter(
    ([name]) => !(name in selectionFlags || name in jsonFlag || name === "slots"),
  ),
);

/** `run` of one task, with all else as it was given to `run`, here or `--boss`, or to `watch`. */
export function runAgain(
  ref: TaskRef,
  pipedef: string | undefined,
  args: object,
  flags: Flags = whereFlags,
): string {
  const named = pipedef === undefined ? "" : ` ${shellWord(pipedef)}`;
  return `${programName()} run${named} --only ${shellWord(taskLabel(ref))}${givenFlags(flags, args)}`;
}

/** `rerun` of one task of a boss's run. */
export function rerunAgain(run: number, ref: TaskRef, bossArgument: string): string {
  return `${programName()} rerun ${run} --only ${shellWord(taskLabel(ref))} --follow${bossArgument}`;
}
