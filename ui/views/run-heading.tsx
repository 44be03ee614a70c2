import { isFinished, type Run } from "../../src/model/run.js";
import { formatCounts, formatTime } from "../format.js";
import { hrefOf, runHref } from "../route.js";
import { sourceTitle, sourceWords } from "../source-words.js";
import { listedRuns, mayAct } from "../state.js";
import { useKeys } from "../use-keys.js";
import { Icon } from "./icons.js";
import type { PageProps } from "./page.js";
import { Duration, StatusBadge } from "./status.js";

/** Verdict and what can be done about it; on the page of the run and on that of its timeline. */
export function RunHeading({ state, actions, run }: PageProps & { run: Run }) {
  const { id, status, request } = run;
  const { now, route } = state;
  const counts = state.runs.get(id)?.summary?.tasks ?? {};
  const isOver = isFinished(run);
  const isCancelling = !isOver && run.cancelledBy !== null;
  const hasRed = Boolean(counts.failed || counts.errored || counts.cancelled || counts.skipped);
  const may = mayAct(state);
  const isWatched = state.watched.has(id);
  const waitedMs = run.startedAt === null ? null : run.startedAt - request.at;

  const others = listedRuns(state).filter(({ pipeline }) => pipeline === request.pipelineName);
  const previous = others.find((other) => other.id < id);
  const next = others.findLast((other) => other.id > id);

  const rerun = () => actions.rerun(id, {});
  const rerunFailed = () => actions.rerun(id, { failed: true });
  const cancel = () => actions.cancel(id);
  const toTimeline = () =>
    actions.go(route.page === "timeline" ? runHref(id) : { page: "timeline", run: id });
  const watch = () => actions.watch(id, !isWatched);
  const isPinned = run.pinned ?? false;
  const pin = () => actions.pin(id, !isPinned);
  const group = "Run";
  useKeys([
    ...(isOver && may ? [{ keys: "r", words: "Run it again", group, run: rerun }] : []),
    ...(isOver && may && hasRed
      ? [{ keys: "f", words: "Run again what did not pass", group, run: rerunFailed }]
      : []),
    ...(!isOver && may ? [{ keys: "c", words: "Cancel it", group, run: cancel }] : []),
    ...(!isOver ? [{ keys: "b", words: "Notify me when it ends", group, run: watch }] : []),
    ...(may
      ? [{ keys: "p", words: "Keep it from being deleted, or no longer", group, run: pin }]
      : []),
    { keys: "t", words: "Timeline, and back", group, run: toTimeline },
    {
      keys: "[",
      words: "Previous run of the pipeline",
      group,
      run: () => previous && actions.go(runHref(previous.id)),
    },
    {
      keys: "]",
      words: "Next run of the pipeline",
      group,
      run: () => next && actions.go(runHref(next.id)),
    },
    ...(previous
      ? [
          {
            keys: "d",
            words: "Differences from the run before",
            group,
            run: () => actions.go({ page: "compare", left: previous.id, right: id }),
          },
        ]
      : []),
  ]);
  return (
    <header class={`heading is-${status}`}>
      <div class="heading-words">
        <h1>
          Run {id} <StatusBadge status={status} />
        </h1>
        <p class="facts">
          <a href={hrefOf({ page: "history", pipeline: request.pipelineName })}>
            <bdi>{request.pipelineName}</bdi>
          </a>
          <span>
            <Duration from={run.startedAt} to={run.finishedAt} now={now} />
          </span>
          {waitedMs !== null && waitedMs >= 1000 && (
            <span>
              waited <Duration from={0} to={waitedMs} now={0} />
            </span>
          )}
          <span>
            by <bdi>{request.trigger}</bdi>
          </span>
          <span>{formatTime(request.at, now)}</span>
          {run.sources?.map((source) => (
            <span key={source.tree} class="mono" title={sourceTitle(source)}>
              <bdi>{sourceWords(source)}</bdi>
            </span>
          ))}
          {formatCounts(counts) && <span>{formatCounts(counts)}</span>}
          {run.cancelledBy !== null && (
            <span>
              cancelled by <bdi>{run.cancelledBy}</bdi>
            </span>
          )}
        </p>
      </div>
      <div class="buttons">
        <a
          class="button"
          href={route.page === "timeline" ? runHref(id) : hrefOf({ page: "timeline", run: id })}
        >
          <Icon name="timeline" />{" "}
          <span class="on-wide">{route.page === "timeline" ? "Tasks" : "Timeline"}</span>
        </a>
        {previous && (
          <a class="button" href={hrefOf({ page: "compare", left: previous.id, right: id })}>
            <Icon name="compare" /> <span class="on-wide">Compare</span>
          </a>
        )}
        <button
          type="button"
          class="icon-button"
          aria-pressed={isPinned}
          aria-label={isPinned ? "Pinned: never deleted to make room" : "Pin: never delete it"}
          title={isPinned ? "Pinned: never deleted to make room (p)" : "Pin: never delete it (p)"}
          disabled={!may}
          onClick={pin}
        >
          <Icon name="pin" />
        </button>
        {!isOver && (
          <button type="button" aria-pressed={isWatched} onClick={watch}>
            <Icon name="bell" /> <span class="on-wide">{isWatched ? "Will notify" : "Notify"}</span>
          </button>
        )}
        {isOver && hasRed && (
          <button type="button" disabled={!may} onClick={rerunFailed}>
            <Icon name="rerun" /> Rerun failed
          </button>
        )}
        {isOver && (
          <button type="button" disabled={!may} onClick={rerun}>
            <Icon name="rerun" /> Rerun
          </button>
        )}
        {!isOver && (
          <button type="button" disabled={!may || isCancelling} onClick={cancel}>
            <Icon name="stop" /> {isCancelling ? "Cancelling..." : "Cancel"}
          </button>
        )}
      </div>
    </header>
  );
}
