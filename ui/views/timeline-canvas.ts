// Draws a timeline: ten thousand bars in one picture, so no elements.

import { formatDuration, workerName } from "../format.js";
import type { Bar, Timeline } from "./timeline-lanes.js";

export interface Viewport {
  readonly width: number;
  readonly height: number;
  /** 1: all of it fits the width. */
  readonly zoom: number;
  readonly scrollLeft: number;
  readonly scrollTop: number;
}

const laneHeight = 26;
const topHeight = 44;
/** The name of a worker, above its lanes. */
const nameHeight = 18;
const barHeight = 20;
const sidePx = 12;

const paints = {
  passed: "--green-fill",
  failed: "--red-fill",
  errored: "--orange-fill",
  running: "--blue-fill",
  cancelled: "--gray-fill",
  text: "--text",
  quiet: "--quiet",
  line: "--line",
  back: "--back",
  raised: "--raised",
} as const;

type Paint = Record<keyof typeof paints, string>;

export function drawTimeline(canvas: HTMLCanvasElement, timeline: Timeline, view: Viewport): void {
  const context = canvas.getContext("2d");
  if (!context || view.width === 0) return;
  const scale = devicePixelRatio || 1;
  canvas.width = Math.round(view.width * scale);
  canvas.height = Math.round(view.height * scale);
  context.scale(scale, scale);
  const paint = readPaint(canvas);
  const x = (at: number) => placeOf(timeline, view, at);
  context.font = `12px ${getComputedStyle(canvas).fontFamily}`;
  context.textBaseline = "middle";

  drawStages(context, timeline, view, paint, x);
  context.save();
  context.beginPath();
  context.rect(0, topHeight, view.width, view.height - topHeight);
  context.clip();
  const tops = laneTops(timeline);
  const topOf = (bar: Bar) => tops[bar.lane]! - view.scrollTop + 3;
  drawWorkers(context, timeline, view, paint, tops);
  const critical = new Set(timeline.critical);
  for (const bar of timeline.bars)
    drawBar(context, bar, view, paint, { x, top: topOf(bar), isCritical: critical.has(bar) });
  drawPath(context, timeline, paint, x, topOf);
  context.restore();
}

export function barAt(timeline: Timeline, view: Viewport, x: number, y: number): Bar | null {
  if (y < topHeight) return null;
  const place = y + view.scrollTop;
  const lane = laneTops(timeline).findIndex((top) => top <= place && place < top + laneHeight);
  for (const bar of timeline.bars) {
    if (bar.lane !== lane) continue;
    const from = placeOf(timeline, view, bar.from);
    const to = Math.max(placeOf(timeline, view, bar.to), from + 3);
    if (x >= from && x <= to) return bar;
  }
  return null;
}

/** Where each lane begins; those of a worker stand below its name. */
function laneTops({ lanes }: Timeline): number[] {
  let next = topHeight;
  return lanes.map((worker, lane) => {
    if (worker !== lanes[lane - 1]) next += nameHeight;
    const top = next;
    next += laneHeight;
    return top;
  });
}

export function timelineHeight(timeline: Timeline): number {
  return (laneTops(timeline).at(-1) ?? topHeight) + laneHeight;
}

function placeOf(timeline: Timeline, view: Viewport, at: number): number {
  const part = (at - timeline.from) / Math.max(1, timeline.to - timeline.from);
  return sidePx + part * (view.width * view.zoom - 2 * sidePx) - view.scrollLeft;
}

function drawStages(
  context: CanvasRenderingContext2D,
  timeline: Timeline,
  view: Viewport,
  paint: Paint,
  x: (at: number) => number,
) {
  timeline.stages.forEach(({ name, from, to }, index) => {
    const [left, right] = [x(from), x(to)];
    if (right < 0 || left > view.width) return;
    if (index % 2 === 0) {
      context.fillStyle = paint.raised;
      context.fillRect(left, 0, right - left, view.height);
    }
    context.fillStyle = paint.text;
    context.font = context.font.replace(/^(bold )?/, "bold ");
    const label = fitting(context, name, right - Math.max(left, 0) - 8);
    context.fillText(label, Math.max(left, 0) + 5, 13);
    context.font = context.font.replace(/^bold /, "");
  });
  drawTicks(context, timeline, view, paint, x);
}

function drawTicks(
  context: CanvasRenderingContext2D,
  timeline: Timeline,
  view: Viewport,
  paint: Paint,
  x: (at: number) => number,
) {
  const wholeMs = timeline.to - timeline.from;
  const step = niceStep((wholeMs / (view.width * view.zoom)) * 90);
  const firstMs = Math.floor((wholeMs * view.scrollLeft) / (view.width * view.zoom) / step) * step;
  for (let at = Math.max(0, firstMs); at <= wholeMs; at += step) {
    const left = x(timeline.from + at);
    if (left > view.width) break;
    context.fillStyle = paint.line;
    context.fillRect(left, 26, 1, view.height);
    context.fillStyle = paint.quiet;
    context.fillText(at === 0 ? "0" : formatDuration(at), left + 4, 34);
  }
  context.fillStyle = paint.line;
  context.fillRect(0, topHeight - 1, view.width, 1);
}

const steps = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000,
  300_000, 600_000, 1_800_000, 3_600_000, 7_200_000,
];

function niceStep(ms: number): number {
  return steps.find((step) => step >= ms) ?? Math.ceil(ms / 7_200_000) * 7_200_000;
}

function drawWorkers(
  context: CanvasRenderingContext2D,
  { lanes }: Timeline,
  view: Viewport,
  paint: Paint,
  tops: readonly number[],
) {
  context.fillStyle = paint.quiet;
  lanes.forEach((worker, lane) => {
    if (lanes[lane - 1] === worker) return;
    const top = tops[lane]! - nameHeight - view.scrollTop;
    if (lane > 0) context.fillRect(0, top, view.width, 1);
    const name = fitting(context, workerName(worker), view.width - 10);
    context.fillText(name, 5, top + nameHeight / 2 + 1);
  });
}

function drawBar(
  context: CanvasRenderingContext2D,
  bar: Bar,
  view: Viewport,
  paint: Paint,
  at: { readonly x: (at: number) => number; readonly top: number; readonly isCritical: boolean },
) {
  const { x, top, isCritical } = at;
  const left = x(bar.from);
  const width = Math.max(2, x(bar.to) - left - 1);
  if (left + width < 0 || left > view.width || top > view.height || top + barHeight < topHeight)
    return;
  const status = bar.status in paint ? (bar.status as keyof Paint) : "cancelled";
  context.fillStyle = paint[status];
  context.fillRect(left, top, width, barHeight);
  if (bar.status !== "passed" && bar.status !== "running") {
    // A notch at the end: red is told by its form, too.
    context.fillStyle = paint.text;
    context.fillRect(left + width - Math.min(4, width), top, Math.min(4, width), barHeight);
  }
  if (isCritical) {
    context.strokeStyle = paint.text;
    context.lineWidth = 1.5;
    context.strokeRect(left + 0.75, top + 0.75, Math.max(1, width - 1.5), barHeight - 1.5);
  }
  if (width < 34) return;
  const start = Math.max(left, 0);
  const label = fitting(context, bar.ref.task, left + width - start - 14);
  if (label === "") return;
  context.fillStyle = "#ffffff";
  context.shadowColor = "rgb(0 0 0 / 0.55)";
  context.shadowBlur = 3;
  context.fillText(label, start + 6, top + barHeight / 2 + 1);
  context.shadowBlur = 0;
}

/** From the end of each to the begin of the next. */
function drawPath(
  context: CanvasRenderingContext2D,
  { critical }: Timeline,
  paint: Paint,
  x: (at: number) => number,
  topOf: (bar: Bar) => number,
) {
  context.strokeStyle = paint.text;
  context.lineWidth = 1.5;
  const middle = (bar: Bar) => topOf(bar) + barHeight / 2;
  context.beginPath();
  for (let index = 1; index < critical.length; index += 1) {
    const [one, next] = [critical[index - 1]!, critical[index]!];
    if (one.lane === next.lane) continue;
    context.moveTo(x(one.to) - 1, middle(one));
    context.lineTo(x(next.from), middle(next));
  }
  context.stroke();
}

function fitting(context: CanvasRenderingContext2D, text: string, width: number): string {
  if (width < 12) return "";
  if (context.measureText(text).width <= width) return text;
  let length = Math.floor(text.length * (width / context.measureText(text).width));
  while (length > 1 && context.measureText(`${text.slice(0, length)}…`).width > width) length -= 1;
  return length > 1 ? `${text.slice(0, length)}…` : "";
}

/** The scheme decides the colors, so they are read from an element that has them. */
function readPaint(element: Element): Paint {
  const probe = document.createElement("span");
  element.parentElement?.append(probe);
  const read = (name: string) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const entries = Object.entries(paints).map(([name, variable]) => [name, read(variable)]);
  probe.remove();
  return Object.fromEntries(entries);
}
