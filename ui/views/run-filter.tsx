import { useRef } from "preact/hooks";
import type { Run, TaskStatus } from "../../src/model/run.js";
import { summarizeRun } from "../../src/model/run-summary.js";
import type { RunPageMessage, RunPageState } from "../run-page.js";
import { useKeys } from "../use-keys.js";
import { StatusIcon } from "./status.js";

interface Props {
  readonly page: RunPageState;
  readonly run: Run;
  send(message: RunPageMessage): void;
}

/** Shown together, since nobody looks for one of them alone. */
const groups: readonly { readonly words: TaskStatus; readonly statuses: readonly TaskStatus[] }[] =
  [
    { words: "failed", statuses: ["failed"] },
    { words: "errored", statuses: ["errored"] },
    { words: "running", statuses: ["running"] },
    { words: "queued", statuses: ["queued"] },
    { words: "waiting", statuses: ["waiting"] },
    { words: "passed", statuses: ["passed"] },
    { words: "cancelled", statuses: ["cancelled"] },
    { words: "skipped", statuses: ["skipped"] },
  ];

export function RunFilter({ page, run, send }: Props) {
  const field = useRef<HTMLInputElement>(null);
  useKeys([
    // A shown output has "/" for itself.
    { keys: "/", words: "Filter the tasks", group: "Run", run: () => field.current?.focus() },
    {
      keys: "l",
      words: "Filter the list of tasks",
      group: "Run",
      run: () => field.current?.focus(),
    },
  ]);
  const counts = summarizeRun(run).tasks;
  const clear = () => send({ type: "filter-text", text: "" });
  return (
    <div class="filter">
      <input
        ref={field}
        type="search"
        placeholder="Filter tasks"
        aria-label="Filter tasks by words of their names"
        value={page.text}
        onInput={(event) => send({ type: "filter-text", text: event.currentTarget.value })}
        onKeyDown={(event) => {
          if (event.key !== "Escape" && event.key !== "Enter") return;
          event.preventDefault();
          if (event.key === "Escape") clear();
          field.current?.blur();
        }}
      />
      <fieldset class="chips" aria-label="Filter by state">
        {groups.map(({ words, statuses }) => {
          const count = statuses.reduce((sum, status) => sum + (counts[status] ?? 0), 0);
          const isOn = statuses.every((status) => page.statuses.includes(status));
          if (count === 0 && !isOn) return null;
          return (
            <button
              key={words}
              type="button"
              class="chip"
              aria-pressed={isOn}
              onClick={() => send({ type: "filter-status", statuses })}
            >
              <StatusIcon status={words} />
              {count} {words}
            </button>
          );
        })}
      </fieldset>
    </div>
  );
}
