// What one attempt of a task printed.

import { Component } from "preact";
import type { CallStarted } from "../../src/model/events.js";
import { errorOf, reasonOf } from "../request.js";
import type { LineRange } from "../route.js";
import {
  appendOutput,
  emptyOutput,
  isEmpty,
  maxShownChars,
  type OutputText,
  shownLine,
} from "./output-text.js";

export interface OutputViewProps {
  readonly run: number;
  readonly stage: string;
  readonly task: string;
  /** The shown one, from 1, of `attempts`. */
  readonly attempt: number;
  readonly attempts: number;
  /** Whether this attempt still runs. */
  readonly isLive: boolean;
  readonly calls: readonly CallStarted[];
  /** Chosen by the address. */
  readonly lines: LineRange | null;
  readonly isConnected: boolean;
  /** Another one: the boss may be another, nothing fetched before is to be believed. */
  readonly generation: number;
  /** Puts them into the address. */
  chooseLines(lines: LineRange | null): void;
  chooseAttempt(attempt: number): void;
}

export function outputUrl(at: Pick<OutputViewProps, "run" | "stage" | "task" | "attempt">): string {
  const task = `${encodeURIComponent(at.stage)}/${encodeURIComponent(at.task)}`;
  return `/api/runs/${at.run}/tasks/${task}/output?attempt=${at.attempt}`;
}

interface Shown {
  readonly text: OutputText;
  readonly status: "loading" | "live" | "ended" | "failed";
  readonly problem: string | null;
}

const nothing: Shown = { text: emptyOutput, status: "loading", problem: null };

export class OutputView extends Component<OutputViewProps, Shown> {
  override state = nothing;
  private abort: AbortController | null = null;
  private element: HTMLPreElement | null = null;
  private isAtEnd = true;

  private keyOf({ run, stage, task, attempt, generation }: OutputViewProps): string {
    return JSON.stringify([run, stage, task, attempt, generation]);
  }

  override componentDidMount() {
    void this.follow();
  }

  override componentDidUpdate(before: OutputViewProps) {
    const isOther = this.keyOf(before) !== this.keyOf(this.props);
    if (isOther || (!before.isConnected && this.props.isConnected)) void this.follow();
    if (this.element && this.isAtEnd) this.element.scrollTop = this.element.scrollHeight;
  }

  override componentWillUnmount() {
    this.abort?.abort();
  }

  private async follow() {
    this.abort?.abort();
    this.abort = new AbortController();
    const { signal } = this.abort;
    this.setState(nothing);
    let gathered = "";
    const flush = () => {
      const text = gathered;
      gathered = "";
      if (text !== "" && !signal.aborted)
        this.setState((before) => ({ text: appendOutput(before.text, text) }));
    };
    try {
      const url = `${outputUrl(this.props)}&follow=1&tail=${maxShownChars}`;
      const response = await fetch(url, { signal });
      if (!response.ok || !response.body) throw new Error(await errorOf(response));
      this.setState({ status: "live" });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        gathered += next.value;
        await new Promise(requestAnimationFrame);
        flush();
      }
      this.setState({ status: "ended" });
    } catch (error) {
      flush();
      if (!signal.aborted) this.setState({ status: "failed", problem: reasonOf(error) });
    }
  }

  private onScroll = () => {
    const { scrollTop, scrollHeight, clientHeight } = this.element!;
    this.isAtEnd = scrollHeight - scrollTop - clientHeight < 24;
  };

  override render() {
    const { text, status, problem } = this.state;
    if (status === "loading") return <p class="quiet">Loading the output...</p>;
    return (
      <>
        <p>
          <a href={outputUrl(this.props)} target="_blank" rel="noreferrer">
            raw output
          </a>
        </p>
        {isEmpty(text) ? (
          <p class="quiet">{status === "live" ? "Nothing printed yet." : "It printed nothing."}</p>
        ) : (
          <pre
            class="output"
            role="log"
            // biome-ignore lint/a11y/noNoninteractiveTabindex: whoever has no mouse must be able to scroll it
            tabIndex={0}
            ref={(element) => {
              this.element = element;
            }}
            onScroll={this.onScroll}
          >
            {text.blocks.map((block) => (
              <span key={block.id}>{block.text}</span>
            ))}
            <span>{shownLine(text)}</span>
          </pre>
        )}
        {problem !== null && <p class="warning">The output broke off: {problem}</p>}
      </>
    );
  }
}
