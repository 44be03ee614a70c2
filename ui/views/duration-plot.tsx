// Durations over time: a dot a run, joined by a line, told apart by color and form.

import { useEffect, useRef, useState } from "preact/hooks";
import { formatDuration } from "../format.js";
import { moveByArrows } from "./arrows.js";
import type { HistoryState } from "./history-stats.js";

export interface PlotPoint {
  readonly run: number;
  readonly ms: number | null;
  readonly state: HistoryState;
  readonly href: string;
}

const height = 150;
const left = 58;
const bottom = 20;
const top = 10;

export function DurationPlot({ points }: { points: readonly PlotPoint[] }) {
  const frame = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(600);
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const longest = Math.max(1, ...points.map(({ ms }) => ms ?? 0));
  const ceiling = niceCeiling(longest);
  const x = (index: number) =>
    left + 8 + (index / Math.max(1, points.length - 1)) * Math.max(0, width - left - 20);
  const y = (ms: number) => top + (1 - ms / ceiling) * (height - top - bottom);
  const drawn = points.flatMap((point, index) =>
    point.ms === null ? [] : [{ ...point, ms: point.ms, x: x(index), y: y(point.ms) }],
  );
  const line = drawn.filter(({ state }) => state === "passed" || state === "flaky");
  return (
    <div class="plot" ref={frame}>
      {/* biome-ignore lint/a11y/useSemanticElements: a picture holds no fieldset */}
      <svg
        width={width}
        height={height}
        role="group"
        aria-label="Durations, oldest run first"
        data-row
        onKeyDown={moveByArrows}
      >
        {[0, 0.5, 1].map((part) => (
          <g key={part}>
            <line
              class="plot-line"
              x1={left}
              x2={width}
              y1={y(ceiling * part)}
              y2={y(ceiling * part)}
            />
            <text class="plot-label" x={left - 8} y={y(ceiling * part) + 4} text-anchor="end">
              {part === 0 ? "0" : formatDuration(ceiling * part)}
            </text>
          </g>
        ))}
        <polyline class="plot-path" points={line.map((at) => `${at.x},${at.y}`).join(" ")} />
        {drawn.map(({ run, state, ms, href, x, y }, index) => {
          const words = `#${run} ${state} in ${formatDuration(ms)}`;
          return (
            <a
              key={run}
              href={href}
              aria-label={words}
              tabIndex={index === drawn.length - 1 ? 0 : -1}
            >
              <title>{words}</title>
              <circle class="plot-target" cx={x} cy={y} r="10" />
              {state === "passed" || state === "flaky" ? (
                <circle class={`plot-dot is-${state}`} cx={x} cy={y} r="3.5" />
              ) : (
                <path
                  class={`plot-cross is-${state}`}
                  d={`M${x - 4} ${y - 4}l8 8M${x + 4} ${y - 4}l-8 8`}
                />
              )}
            </a>
          );
        })}
        <text class="plot-label" x={left + 8} y={height - 4}>
          #{points[0]?.run}
        </text>
        <text class="plot-label" x={width - 8} y={height - 4} text-anchor="end">
          #{points.at(-1)?.run}
        </text>
      </svg>
    </div>
  );
}

function niceCeiling(ms: number): number {
  const unit = ms >= 60_000 ? 60_000 : ms >= 1000 ? 1000 : 1;
  const value = ms / unit;
  const power = 10 ** Math.floor(Math.log10(value));
  const nice = [1, 2, 3, 4, 6, 8, 10].find((step) => step * power >= value) ?? 10;
  return nice * power * unit;
}
