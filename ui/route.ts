// Where the reader is, as the page's address, so that every place can be linked to.

import type { TaskRef } from "../src/model/pipeline.js";

/** Lines of an output, from 1; both ends belong to it. */
export interface LineRange {
  readonly from: number;
  readonly to: number;
}

export type Route =
  | { readonly page: "home" }
  | RunRoute
  | { readonly page: "timeline"; readonly run: number }
  | { readonly page: "history"; readonly pipeline: string }
  | { readonly page: "compare"; readonly left: number; readonly right: number }
  | { readonly page: "workers" }
  | { readonly page: "missing"; readonly path: string };

export interface RunRoute {
  readonly page: "run";
  readonly run: number;
  /** Null: the page chooses one. */
  readonly task: TaskRef | null;
  /** Null: the last one. */
  readonly attempt: number | null;
  readonly lines: LineRange | null;
}

export interface Address {
  readonly pathname: string;
  readonly search: string;
  readonly hash: string;
}

export function parseRoute({ pathname, search, hash }: Address): Route {
  const missing: Route = { page: "missing", path: pathname };
  const parts = decoded(pathname.split("/").filter((part) => part !== ""));
  if (parts === null) return missing;
  const [head, first, second, third] = parts;
  if (head === undefined) return { page: "home" };
  if (head === "workers" && parts.length === 1) return { page: "workers" };
  if (head === "history" && first !== undefined && parts.length === 2)
    return { page: "history", pipeline: first };
  if (head === "compare" && parts.length === 3) {
    const [left, right] = [runId(first), runId(second)];
    return left !== null && right !== null ? { page: "compare", left, right } : missing;
  }
  const run = head === "runs" ? runId(first) : null;
  if (run === null) return missing;
  if (parts.length === 2) return { page: "run", run, task: null, attempt: null, lines: null };
  if (parts.length === 3 && second === "timeline") return { page: "timeline", run };
  if (parts.length !== 4 || second === undefined || third === undefined) return missing;
  const attempt = /^[1-9]\d{0,5}$/.exec(new URLSearchParams(search).get("attempt") ?? "");
  return {
    page: "run",
    run,
    task: { stage: second, task: third },
    attempt: attempt && Number(attempt[0]),
    lines: parseLines(hash),
  };
}

export function hrefOf(route: Route): string {
  switch (route.page) {
    case "home":
      return "/";
    case "workers":
      return "/workers";
    case "history":
      return `/history/${encodeURIComponent(route.pipeline)}`;
    case "compare":
      return `/compare/${route.left}/${route.right}`;
    case "timeline":
      return `/runs/${route.run}/timeline`;
    case "missing":
      return route.path;
    case "run": {
      const { run, task, attempt, lines } = route;
      if (task === null) return `/runs/${run}`;
      const query = attempt === null ? "" : `?attempt=${attempt}`;
      return `/runs/${run}/${taskPath(task)}${query}${hashOf(lines)}`;
    }
    default:
      return route satisfies never;
  }
}

export function runHref(run: number): string {
  return `/runs/${run}`;
}

export function taskHref(run: number, task: TaskRef): string {
  return hrefOf({ page: "run", run, task, attempt: null, lines: null });
}

/** The run that the page is about; null where it is about none. */
export function runOf(route: Route): number | null {
  return route.page === "run" || route.page === "timeline" ? route.run : null;
}

function taskPath({ stage, task }: TaskRef): string {
  return `${encodeURIComponent(stage)}/${encodeURIComponent(task)}`;
}

function hashOf(lines: LineRange | null): string {
  if (lines === null) return "";
  return lines.from === lines.to ? `#L${lines.from}` : `#L${lines.from}-L${lines.to}`;
}

function parseLines(hash: string): LineRange | null {
  const match = /^#L([1-9]\d{0,11})(?:-L([1-9]\d{0,11}))?$/.exec(hash);
  if (!match) return null;
  const ends = [Number(match[1]), Number(match[2] ?? match[1])];
  return { from: Math.min(...ends), to: Math.max(...ends) };
}

function runId(text: string | undefined): number | null {
  return text !== undefined && /^[1-9]\d{0,14}$/.test(text) ? Number(text) : null;
}

function decoded(parts: readonly string[]): string[] | null {
  try {
    return parts.map(decodeURIComponent);
  } catch {
    return null;
  }
}
