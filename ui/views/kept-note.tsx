// What a red command has left to be entered: until when, and by which command.

import type { AttemptRef } from "../../src/model/events.js";
import type { AttemptState } from "../../src/model/run.js";
import type { WorkerView } from "../../src/wire/boss.js";
import { formatClock } from "../format.js";
import { CopyButton } from "../output/copy-button.js";
import { enterCommand, keptUntil } from "./kept.js";

interface Props {
  readonly run: number;
  readonly attempt: AttemptRef;
  readonly kept: AttemptState["kept"];
  readonly workers: readonly WorkerView[] | null;
}

export function KeptNote({ run, attempt, kept = [], workers }: Props) {
  return (
    <>
      {kept.map((one) => {
        if ("problem" in one) {
          return (
            <p class="quiet" key={one.call}>
              Its sandbox was not kept: {one.problem}
            </p>
          );
        }
        const until = keptUntil(one.id, workers ?? []);
        if (until === undefined) return null;
        const call = kept.length > 1 ? one.call : null;
        const command = enterCommand({ run, attempt, call, origin: location.origin });
        return (
          <p class="kept" key={one.call}>
            <span>
              Sandbox kept{" "}
              {until === null ? "while somebody is inside" : `until ${formatClock(until)}`}:
            </span>
            <code>{command}</code>
            <CopyButton words="Copy" text={async () => command} />
          </p>
        );
      })}
    </>
  );
}
