// What can be done with an output, above it.

import { Component, type Ref } from "preact";
import { dockerScript } from "../../src/model/docker-command.js";
import type { CallStarted, RunSource } from "../../src/model/events.js";
import { taskLabel } from "../../src/model/pipeline.js";
import type { AttemptState } from "../../src/model/run.js";
import { plainText } from "../../src/model/terminal-line.js";
import { fetchAgain } from "../request.js";
import type { LineRange } from "../route.js";
import { CopyButton } from "./copy-button.js";
import type { LineSearch } from "./line-search.js";
import type { OutputSource } from "./output-source.js";
import type { Query } from "./query.js";
import type { Settings } from "./settings.js";

interface Props {
  readonly stage: string;
  readonly task: string;
  readonly run: number;
  readonly attempt: number;
  readonly attempts: number;
  readonly isLive: boolean;
  readonly calls: readonly CallStarted[];
  readonly sources: readonly RunSource[];
  readonly services: NonNullable<AttemptState["services"]>;
  readonly lines: LineRange | null;
  readonly chooseAttempt: (attempt: number) => void;
  readonly source: OutputSource;
  readonly search: LineSearch | null;
  readonly query: Query | null;
  readonly current: number | null;
  readonly setQuery: (query: Query | null) => void;
  readonly nextMatch: (by: 1 | -1) => void;
  readonly nextError: () => void;
  readonly settings: Settings;
  readonly change: (change: Partial<Settings>) => void;
  readonly isFollowing: boolean;
  readonly follow: (isFollowing: boolean) => void;
  readonly isCompared: boolean;
  readonly compare: (isCompared: boolean) => void;
  readonly fieldRef: Ref<HTMLInputElement>;
  readonly leaveField: () => void;
}

export function OutputToolbar(props: Props) {
  const { source, settings, change, isFollowing, isLive, lines } = props;
  const name = `${props.stage}.${props.task}`.replace(/[^\w.-]+/g, "_");
  return (
    <div class="out-bar" role="toolbar" aria-label="Output">
      {props.attempts > 1 && (
        <>
          <Attempts {...props} />
          <Switch
            words="Compare"
            title="The difference of two attempts"
            isOn={props.isCompared}
            set={props.compare}
          />
        </>
      )}
      <SearchField {...props} />
      <button type="button" onClick={props.nextError} title="Jump to the first error (e)">
        First error
      </button>
      <Switch
        words="Wrap"
        title="Wrap long lines (w)"
        isOn={settings.isWrapped}
        set={(isWrapped) => change({ isWrapped })}
      />
      <Switch
        words="Times"
        title="When each line came (T)"
        isOn={settings.hasTimes}
        set={(hasTimes) => change({ hasTimes })}
      />
      {isLive && (
        <Switch words="Follow" title="Stay at the end (F)" isOn={isFollowing} set={props.follow} />
      )}
      <span class="out-links">
        {lines && <CopyButton words={linesWords(lines)} text={() => textOf(source, lines)} />}
        {props.calls.length > 0 && (
          <CopyButton words="Copy as command" text={async () => commandsOf(props)} />
        )}
        <a href={source.url("")} target="_blank" rel="noopener noreferrer">
          Raw
        </a>
        <a href={source.url("")} download={`${name}-run${props.run}-attempt${props.attempt}.txt`}>
          Download
        </a>
      </span>
    </div>
  );
}

function Attempts({ attempt, attempts, chooseAttempt }: Props) {
  const numbers = Array.from({ length: attempts }, (_, index) => index + 1);
  return (
    <label class="out-attempts">
      Attempt{" "}
      <select
        value={attempt}
        onChange={(event) => chooseAttempt(Number(event.currentTarget.value))}
      >
        {numbers.map((number) => (
          <option key={number} value={number}>
            {number} of {attempts}
          </option>
        ))}
      </select>
    </label>
  );
}

interface SwitchProps {
  readonly words: string;
  readonly title: string;
  readonly isOn: boolean;
  readonly set: (isOn: boolean) => void;
}

function Switch({ words, title, isOn, set }: SwitchProps) {
  return (
    <button
      type="button"
      class="out-switch"
      aria-pressed={isOn}
      title={title}
      onClick={() => set(!isOn)}
    >
      {words}
    </button>
  );
}

interface FieldState {
  readonly text: string;
  readonly isRegex: boolean;
  readonly matchCase: boolean;
}

const typingMs = 200;

class SearchField extends Component<Props, FieldState> {
  override state: FieldState = { text: "", isRegex: false, matchCase: false };
  #timer: ReturnType<typeof setTimeout> | undefined;

  override componentWillUnmount() {
    clearTimeout(this.#timer);
  }

  #set(change: Partial<FieldState>, waitMs: number) {
    const query = { ...this.state, ...change };
    this.setState(query);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.props.setQuery(query.text === "" ? null : query), waitMs);
  }

  #onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter") {
      event.preventDefault();
      const { query } = this.props;
      const isNew = query?.text !== this.state.text;
      if (isNew) this.#set({}, 0);
      else this.props.nextMatch(event.shiftKey ? -1 : 1);
      // The letters are keys again: n, N, e.
      this.props.leaveField();
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      this.#set({ text: "" }, 0);
      this.props.leaveField();
    }
  };

  override render() {
    const { text, isRegex, matchCase } = this.state;
    const { search, nextMatch, query } = this.props;
    return (
      <span class="out-search">
        <input
          type="search"
          aria-label="Search in the output"
          placeholder="Search  /"
          spellcheck={false}
          autocomplete="off"
          value={text}
          ref={this.props.fieldRef}
          onInput={(event) => this.#set({ text: event.currentTarget.value }, typingMs)}
          onKeyDown={this.#onKeyDown}
        />
        <button
          type="button"
          class="out-switch"
          aria-pressed={matchCase}
          aria-label="Match case"
          title="Upper and lower case differ"
          onClick={() => this.#set({ matchCase: !matchCase }, 0)}
        >
          Aa
        </button>
        <button
          type="button"
          class="out-switch"
          aria-pressed={isRegex}
          aria-label="Regular expression"
          title="A regular expression"
          onClick={() => this.#set({ isRegex: !isRegex }, 0)}
        >
          .*
        </button>
        {query !== null && (
          <>
            <button
              type="button"
              aria-label="Match before"
              title="Match before (N)"
              onClick={() => nextMatch(-1)}
            >
              ↑
            </button>
            <button
              type="button"
              aria-label="Next match"
              title="Next match (n)"
              onClick={() => nextMatch(1)}
            >
              ↓
            </button>
            <span class="out-count" role="status">
              {search && countOf(search, this.props.current)}
            </span>
          </>
        )}
      </span>
    );
  }
}

function countOf(search: LineSearch, current: number | null): string {
  const { found, count, isDone, problem } = search;
  if (problem !== null) return problem;
  if (count === 0) return isDone ? "no match" : "searching...";
  const place = current !== null && found.has(current) ? `${found.from(current) + 1} of ` : "";
  const lines = `${place}${count.toLocaleString("en")}${isDone ? "" : "+"}`;
  return `${lines} ${count === 1 ? "line" : "lines"}`;
}

function linesWords({ from, to }: LineRange): string {
  return from === to ? "Copy line" : `Copy ${to - from + 1} lines`;
}

/** As printed, up to so much; a clipboard is no place for more. */
const mostCopiedBytes = 16 * 1024 * 1024;

async function textOf(source: OutputSource, { from, to }: LineRange): Promise<string> {
  const [start, end] = await Promise.all([source.offsetOf(from), source.offsetOf(to + 1)]);
  const limit = Math.min(end - start, mostCopiedBytes);
  const response = await fetchAgain(source.url("", { offset: start, limit }));
  if (!response.ok) throw new Error("the boss does not answer");

  return (await response.text()).split("\n").map(plainText).join("\n");
}

function commandsOf({ calls, sources, services, run, stage, task }: Props): string {
  const told = calls.map((call) => ({
    ...call,
    around: { sources, services: services[call.call] ?? [] },
  }));
  return dockerScript(told, ["bettertest", "repro", String(run), taskLabel({ stage, task })]);
}
