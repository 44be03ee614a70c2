import { Component } from "preact";
import type { TaskRef } from "../../src/model/pipeline.js";
import { attemptNote, type TaskState } from "../../src/model/run.js";
import { outputUrl } from "../effects.js";
import { isEmpty, shownLine } from "../output-text.js";
import type { OutputState } from "../state.js";
import { reasonOf } from "./run.js";
import { Duration, StatusBadge } from "./status.js";

interface Props {
  readonly run: number;
  readonly shown: { readonly ref: TaskRef; readonly task: TaskState };
  readonly output: OutputState | null;
  readonly now: number;
}

export function TaskPane({ run, shown: { ref, task }, output, now }: Props) {
  const attempt = task.attempts.length;
  const last = task.attempts.at(-1);
  const reason = shortReason(task);
  return (
    <section class="pane" aria-label={`${ref.stage}.${ref.task}`}>
      <h2>
        <span class="pane-name">
          <span class="quiet">{ref.stage}.</span>
          {ref.task}
        </span>
        <StatusBadge status={task.status} />
        <Duration from={last?.startedAt ?? null} to={last?.finishedAt ?? null} now={now} />
        {attemptNote(task) && <span class="remark">{attemptNote(task)}</span>}
        {attempt > 0 && (
          <a class="raw" href={outputUrl({ run, ref, attempt })} target="_blank" rel="noreferrer">
            raw output
          </a>
        )}
      </h2>
      {reason !== null && <pre class={`why is-${task.status}`}>{reason}</pre>}
      {last && last.calls.length > 0 && (
        <ul class="calls">
          {last.calls.map((call) => (
            <li key={call.call} title={`in ${call.sandbox} on ${call.worker}`}>
              <code>$ {call.command}</code>
              <span class="quiet">{call.image}</span>
            </li>
          ))}
        </ul>
      )}
      {attempt === 0 ? (
        <p class="quiet">
          {task.status === "skipped" ? "It did not run." : "It has not started yet."}
        </p>
      ) : (
        <Output output={output} raw={outputUrl({ run, ref, attempt })} />
      )}
    </section>
  );
}

/** Where the one command stands right below, it need not be said twice. */
function shortReason(task: TaskState): string | null {
  const last = task.attempts.at(-1);
  const reason = reasonOf(task);
  if (last?.calls.length !== 1 || last.end?.status !== "failed") return reason;
  return reason?.replace(`: ${last.calls[0]?.command}`, () => "") ?? null;
}

/** Stays at the end while the reader is there; one who scrolled up is left in peace. */
class Output extends Component<{ output: OutputState | null; raw: string }> {
  private element: HTMLPreElement | null = null;
  private isAtEnd = true;

  override componentDidMount() {
    this.scrollToEnd();
  }

  override componentDidUpdate() {
    this.scrollToEnd();
  }

  private scrollToEnd() {
    if (this.element && this.isAtEnd) this.element.scrollTop = this.element.scrollHeight;
  }

  private onScroll = () => {
    const { scrollTop, scrollHeight, clientHeight } = this.element!;
    this.isAtEnd = scrollHeight - scrollTop - clientHeight < 24;
  };

  override render() {
    const { output, raw } = this.props;
    if (!output || output.status === "loading") return <p class="quiet">Loading the output...</p>;
    const { text, status, problem } = output;
    return (
      <>
        {text.dropped && (
          <p class="remark-line">
            Only the end is shown. <a href={raw}>All of it</a>
          </p>
        )}
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
            {status === "live" && <span class="cursor" aria-hidden="true" />}
          </pre>
        )}
        {problem !== null && <p class="warning">The output broke off: {problem}</p>}
      </>
    );
  }
}
