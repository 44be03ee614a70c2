// What a red command has left to be entered: until when, and by which command.

import type { TaskRef } from "../../src/model/pipeline.js";
import { taskLabel } from "../../src/model/pipeline.js";
import type { AttemptState } from "../../src/model/run.js";
import { shellWord } from "../../src/model/shell-word.js";
import type { WorkerView } from "../../src/wire/boss.js";
import { formatClock } from "../format.js";
import { CopyButton } from "../output/copy-button.js";
import { keptUntil } from "./kept-until.js";

interface Props {
  readonly run: number;
  readonly task: TaskRef;
  readonly attempt: number;
  readonly state: AttemptState | undefined;
  readonly workers: readonly WorkerView[] | null;
}

export function KeptNote({ run, task, attempt, state, workers }: Props) {
  const notes = (state?.kept ?? []).flatMap((one) => {
    if ("problem" in one)
      return [<p class="quiet padded">Its sandbox was not kept: {one.problem}</p>];
    const until = keptUntil(one.id, workers ?? []);
    if (until === undefined) return [];
    const command = `bettertest shell ${run} ${shellWord(taskLabel(task))} --attempt ${attempt} --call ${one.call}`;
    return [
      <p class="kept padded" key={one.call}>
        <span>
          Its sandbox is kept{" "}
          {until === null ? "while somebody is inside" : `until ${formatClock(until)}`}.
        </span>{" "}
        <code>{command}</code> <CopyButton words="Copy" text={async () => command} />
      </p>,
    ];
  });
  return notes.length > 0 ? <>{notes}</> : null;
}
