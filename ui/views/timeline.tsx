// Why a run took as long as it did: a lane a slot, a bar an attempt, and what the end had to wait for.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { taskKey, taskLabel } from "../../src/model/pipeline.js";
import type { Run } from "../../src/model/run.js";
import { formatDuration, workerName } from "../format.js";
import { taskHref } from "../route.js";
import { shownEntry, shownRun } from "../state.js";
import { useKeys } from "../use-keys.js";
import type { PageProps } from "./page.js";
import { LoadingRun, MissingRun } from "./run.js";
import { RunHeading } from "./run-heading.js";
import { StatusIcon } from "./status.js";
import { barAt, drawTimeline, timelineHeight } from "./timeline-canvas.js";
import { type Bar, type Timeline, timelineOf } from "./timeline-lanes.js";

const maxZoom = 400;

export function TimelinePage({ state, actions, run: id }: PageProps & { run: number }) {
  const entry = shownEntry(state);
  const run = shownRun(state);
  if (entry?.missing) return <MissingRun id={id} reason={entry.missing} />;
  if (!run) return <LoadingRun id={id} problem={entry?.problem ?? null} />;
  return (
    <>
      <RunHeading state={state} actions={actions} run={run} />
      <Lanes run={run} now={run.finishedAt ?? state.now} go={(href) => actions.go(href)} />
    </>
  );
}

interface LanesProps {
  readonly run: Run;
  readonly now: number;
  go(href: string): void;
}

function Lanes({ run, now, go }: LanesProps) {
  const timeline = useMemo(() => timelineOf(run, now), [run, now]);
  const [zoom, setZoom] = useState(1);
  const [hovered, setHovered] = useState<{ bar: Bar; x: number; y: number } | null>(null);
  const scroller = useRef<HTMLElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });

  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const measure = () => setSize({ width: element.clientWidth, height: element.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const draw = () => {
    if (!canvas.current || !scroller.current) return;
    const { scrollLeft, scrollTop } = scroller.current;
    drawTimeline(canvas.current, timeline, { ...size, zoom, scrollLeft, scrollTop });
  };
  useEffect(draw);
  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", draw);
    return () => dark.removeEventListener("change", draw);
  });

  /** What is under the pointer, or in the middle, stays where it is. */
  const zoomBy = (factor: number, at = size.width / 2) => {
    const element = scroller.current;
    if (!element) return;
    const next = Math.min(maxZoom, Math.max(1, zoom * factor));
    const place = (element.scrollLeft + at) / zoom;
    setZoom(next);
    requestAnimationFrame(() => {
      element.scrollLeft = place * next - at;
      draw();
    });
  };
  const group = "Timeline";
  useKeys([
    { keys: "+", words: "Closer", group, repeats: true, run: () => zoomBy(1.6) },
    { keys: "-", words: "Farther", group, repeats: true, run: () => zoomBy(1 / 1.6) },
    { keys: "0", words: "All of it", group, run: () => setZoom(1) },
  ]);

  const find = (event: MouseEvent) => {
    const box = canvas.current?.getBoundingClientRect();
    if (!box || !scroller.current) return null;
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const { scrollLeft, scrollTop } = scroller.current;
    const bar = barAt(timeline, { ...size, zoom, scrollLeft, scrollTop }, x, y);
    return bar && { bar, x, y };
  };
  const busy = timeline.bars.reduce((sum, { from, to }) => sum + to - from, 0);
  const whole = Math.max(1, timeline.to - timeline.from);
  const spaceHeight = timelineHeight(timeline) + 8;
  const used = Math.round((busy / (whole * Math.max(1, timeline.lanes.length))) * 100);
  if (timeline.bars.length === 0)
    return <p class="quiet padded">No task has started yet, so there is nothing to draw.</p>;
  return (
    <div class="timeline">
      <div class="timeline-bar">
        <p class="quiet numbers">
          {timeline.lanes.length} {timeline.lanes.length === 1 ? "slot" : "slots"} in use, busy{" "}
          {used}% of {formatDuration(whole)}
        </p>
        <div class="buttons">
          <button type="button" class="small" aria-label="Farther" onClick={() => zoomBy(1 / 1.6)}>
            −
          </button>
          <button type="button" class="small" aria-label="Closer" onClick={() => zoomBy(1.6)}>
            +
          </button>
          <button type="button" class="small" onClick={() => setZoom(1)}>
            All
          </button>
        </div>
      </div>
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: what it shows stands as a list below */}
      <section
        class="timeline-scroll"
        ref={scroller}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: whoever has no mouse must be able to scroll it
        tabIndex={0}
        style={{ height: `${spaceHeight + 2}px` }}
        aria-label="Lanes of the timeline; the critical path is listed below"
        onScroll={draw}
        onWheel={(event) => {
          if (!event.ctrlKey && !event.metaKey) return;
          event.preventDefault();
          const box = canvas.current!.getBoundingClientRect();
          zoomBy(event.deltaY < 0 ? 1.25 : 0.8, event.clientX - box.left);
        }}
        onMouseMove={(event) => setHovered(find(event))}
        onMouseLeave={() => setHovered(null)}
        onClick={(event) => {
          const found = find(event);
          if (found) go(taskHref(run.id, found.bar.ref));
        }}
      >
        <div
          class="timeline-space"
          style={{
            width: `${Math.round(size.width * zoom)}px`,
            height: `${spaceHeight}px`,
          }}
        >
          <canvas
            ref={canvas}
            class={hovered ? "is-over" : ""}
            style={{ width: `${size.width}px`, height: `${size.height}px` }}
          />
        </div>
        {hovered && (
          <div
            class="tip"
            style={{
              left: `${Math.min(hovered.x + 14, size.width - 300)}px`,
              top: `${hovered.y + 14}px`,
            }}
          >
            <b>
              <bdi>{taskLabel(hovered.bar.ref)}</bdi>
            </b>
            <span class={`is-${hovered.bar.status}`}>
              <StatusIcon status={hovered.bar.status} /> {hovered.bar.status} in{" "}
              {formatDuration(hovered.bar.to - hovered.bar.from)}
            </span>
            <span class="quiet">
              from {formatDuration(hovered.bar.from - timeline.from)} on
              {hovered.bar.attempts > 1 && `, attempt ${hovered.bar.attempt}`}
            </span>
            {hovered.bar.worker !== "" && (
              <span class="quiet">
                on <bdi>{workerName(hovered.bar.worker)}</bdi>
              </span>
            )}
          </div>
        )}
      </section>
      <CriticalPath run={run.id} timeline={timeline} />
    </div>
  );
}

function CriticalPath({ run, timeline }: { run: number; timeline: Timeline }) {
  const { critical } = timeline;
  let before = timeline.from;
  return (
    <section class="critical" aria-labelledby="critical-title">
      <h2 id="critical-title">What it waited for</h2>
      <p class="quiet">
        The critical path: the run ends sooner only if one of these does, or the gaps between them
        close.
      </p>
      <ol>
        {critical.map((bar) => {
          const gap = bar.from - before;
          before = bar.to;
          const share = ((bar.to - bar.from) / Math.max(1, timeline.to - timeline.from)) * 100;
          return (
            <li key={`${taskKey(bar.ref)} ${bar.attempt}`}>
              <a class={`is-${bar.status}`} href={taskHref(run, bar.ref)} data-item>
                <StatusIcon status={bar.status} words />
                <bdi class="mono">{taskLabel(bar.ref)}</bdi>
                <span class="share" aria-hidden="true">
                  <span style={{ width: `${share}%` }} />
                </span>
                <span class="duration">{formatDuration(bar.to - bar.from)}</span>
                <span class="quiet numbers">
                  {gap >= 20 ? `after a gap of ${formatDuration(gap)}` : ""}
                </span>
              </a>
            </li>
          );
        })}
      </ol>
    </section>
  );
}
