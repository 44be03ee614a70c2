// Two attempts of a task side by side: where their outputs differ, and a few lines around that.

import { Component } from "preact";
import type { OutputDiff, OutputLines } from "../../src/wire/boss.js";
import { reasonOf } from "../refusal.js";
import { ask } from "../request.js";
import { type DiffRow, rowsOf } from "./diff-rows.js";
import { partsOf } from "./line-parts.js";
import { outputPath } from "./output-source.js";
import { paint } from "./row.js";

interface Props {
  readonly run: number;
  readonly stage: string;
  readonly task: string;
  readonly attempt: number;
  readonly attempts: number;
}

interface State {
  readonly against: number;
  readonly ignoresTimes: boolean;
  readonly diff: OutputDiff | null;
  readonly groups: readonly (readonly DiffRow[])[];
  readonly problem: string | null;
}

const hunksAtOnce = 20;
const linesAround = 3;
/** Of one hunk; a larger one says how much of it is left out. */
const maxHunkLines = 400;

export class AttemptsDiff extends Component<Props, State> {
  override state: State = {
    against: this.props.attempt > 1 ? this.props.attempt - 1 : this.props.attempts,
    ignoresTimes: true,
    diff: null,
    groups: [],
    problem: null,
  };
  /** Grows with every question: a late answer to an older one is no answer. */
  #asked = 0;

  override componentDidMount() {
    void this.#load();
  }

  override componentWillUnmount() {
    this.#asked += 1;
  }

  /** The earlier one stands on the left. */
  get #pair(): readonly [number, number] {
    const { attempt } = this.props;
    const { against } = this.state;
    return [Math.min(attempt, against), Math.max(attempt, against)];
  }

  async #load() {
    this.#asked += 1;
    const asked = this.#asked;
    this.setState({ diff: null, groups: [], problem: null });
    const [before, now] = this.#pair;
    const times = this.state.ignoresTimes ? "&ignore-times=1" : "";
    const url = `${outputPath(this.props)}/diff?attempt=${now}&against=${before}${times}`;
    try {
      const diff = await ask<OutputDiff>(url);
      if (asked !== this.#asked) return;
      this.setState({ diff });
      await this.#more(diff, 0, asked);
    } catch (error) {
      if (asked === this.#asked) this.setState({ problem: reasonOf(error) });
    }
  }

  async #more(diff: OutputDiff, from: number, asked = this.#asked) {
    const hunks = diff.hunks.slice(from, from + hunksAtOnce);
    const groups = await Promise.all(
      hunks.map(async ([before, beforeCount, now, nowCount]) => {
        const around = Math.min(linesAround, before - 1, now - 1);
        const [left, right] = await Promise.all([
          this.#lines(diff.against, before - around, around + beforeCount + linesAround),
          this.#lines(diff.attempt, now - around, around + nowCount + linesAround),
        ]);
        return rowsOf({ left, right, around, beforeCount, nowCount, before, now, maxHunkLines });
      }),
    );
    if (asked === this.#asked)
      this.setState(({ groups: known }) => ({ groups: [...known, ...groups] }));
  }

  async #lines(attempt: number, from: number, count: number): Promise<string[]> {
    const most = Math.min(count, maxHunkLines + 2 * linesAround);
    const url = `${outputPath(this.props)}/lines?attempt=${attempt}&from=${from}&count=${most}`;
    const { lines } = await ask<OutputLines>(url);
    return lines.map((line) => (typeof line === "string" ? line : `${line.head} [...]`));
  }

  #set(change: Partial<State>) {
    this.setState(change, () => void this.#load());
  }

  override render() {
    const { attempt, attempts } = this.props;
    const { diff, groups, problem, against, ignoresTimes } = this.state;
    const others = Array.from({ length: attempts }, (_, i) => i + 1).filter((n) => n !== attempt);
    const [before, now] = this.#pair;
    const left = diff ? diff.hunks.length - groups.length : 0;
    return (
      // biome-ignore lint/a11y/noNoninteractiveTabindex: whoever has no mouse must be able to scroll it
      <section class="out-diff" aria-label="Difference of two attempts" tabIndex={0}>
        <div class="out-diff-bar">
          <label>
            Against attempt{" "}
            <select
              value={against}
              onChange={(event) => this.#set({ against: Number(event.currentTarget.value) })}
            >
              {others.map((other) => (
                <option key={other} value={other}>
                  {other}
                </option>
              ))}
            </select>
          </label>
          <label>
            <input
              type="checkbox"
              checked={ignoresTimes}
              onChange={(event) => this.#set({ ignoresTimes: event.currentTarget.checked })}
            />{" "}
            Ignore times, durations and addresses
          </label>
        </div>
        <p role="status" class="out-note quiet">
          {problem !== null
            ? `The attempts cannot be compared: ${problem}`
            : diff === null
              ? "Comparing..."
              : diff.hunks.length === 0
                ? "Both attempts printed the same."
                : `${diff.hunks.length} ${diff.hunks.length === 1 ? "place differs" : "places differ"}${diff.cut ? "; not all is shown" : ""}`}
        </p>
        {groups.length > 0 && (
          <table class="out-sides">
            <colgroup>
              <col class="out-col-number" />
              <col />
              <col class="out-col-number" />
              <col />
            </colgroup>
            <thead>
              <tr>
                <th scope="col" colSpan={2}>
                  Attempt {before}
                </th>
                <th scope="col" colSpan={2}>
                  Attempt {now}
                </th>
              </tr>
            </thead>
            {groups.map((rows, index) => (
              <tbody key={index}>
                {rows.map((row, at) => (
                  <DiffRowView key={at} row={row} />
                ))}
              </tbody>
            ))}
          </table>
        )}
        {diff !== null && groups.length > 0 && left > 0 && (
          <p class="out-note">
            <button type="button" onClick={() => void this.#more(diff, groups.length)}>
              Show {Math.min(left, hunksAtOnce)} more of {left}
            </button>
          </p>
        )}
      </section>
    );
  }
}

function DiffRowView({ row }: { row: DiffRow }) {
  if (row.kind === "omitted") {
    return (
      <tr>
        <td colSpan={4} class="quiet">
          {row.lines} more lines differ here
        </td>
      </tr>
    );
  }
  return (
    <tr>
      <Side side={row.left} kind={row.kind} mark="−" />
      <Side side={row.right} kind={row.kind} mark="+" />
    </tr>
  );
}

type SideOf = Extract<DiffRow, { left: unknown }>["left"];

function Side({ side, kind, mark }: { side: SideOf; kind: "same" | "changed"; mark: string }) {
  if (side === null) return <td colSpan={2} class="is-missing" />;
  const isChanged = kind === "changed";
  const classes = isChanged ? (mark === "+" ? "is-added" : "is-removed") : "";
  return (
    <>
      <td class={`out-diff-number ${classes}`}>
        {isChanged && mark} {side.number}
      </td>
      <td class={classes}>
        <bdo dir="ltr" class="out-text">
          {paint(partsOf(side.text), null)}
        </bdo>
      </td>
    </>
  );
}
