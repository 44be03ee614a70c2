// All that reaches outside the page: the event stream, requests, the clock. It reads from the state what
// should be under way, starts that and ends the rest, and tells update() what comes back.

import type { RunEvent } from "../src/model/events.js";
import type {
  ApiError,
  LoggedEvent,
  PipelineView,
  RerunRequest,
  RunSnapshot,
  RunSummary,
  StartRunRequest,
  WorkerView,
} from "../src/wire/boss.js";
import { maxShownChars } from "./output-text.js";
import { runHref } from "./route.js";
import {
  maxRuns,
  type OutputWish,
  type State,
  wantedOutput,
  wantedRuns,
  wantsClock,
} from "./state.js";
import type { Message } from "./update.js";

export type Dispatch = (message: Message) => void;

/** A record, so that a new kind of event cannot be forgotten here. */
const runEventTypes: Record<RunEvent["type"], true> = {
  "run-created": true,
  "run-loaded": true,
  "stage-started": true,
  "task-queued": true,
  "task-skipped": true,
  "attempt-started": true,
  "call-started": true,
  "call-finished": true,
  "attempt-finished": true,
  "stage-finished": true,
  "cancel-requested": true,
  "run-finished": true,
};

const retryMs = 1000;
const clockMs = 500;
/** Chunks of output are gathered this long: the eye sees no difference, the page redraws less. */
const gatherMs = 50;

/** Opens the one stream of events, again and again where it breaks. */
export function connect(dispatch: Dispatch): void {
  // A new EventSource each time, not the browser's own retry: that would ask a restarted boss, whose events
  // are numbered anew, to go on behind a number it may never reach.
  const source = new EventSource("/api/events");
  source.onopen = () => {
    reloadIfOutdated();
    dispatch({ type: "connected" });
  };
  source.onerror = () => {
    source.close();
    dispatch({ type: "disconnected" });
    setTimeout(() => connect(dispatch), retryMs);
  };
  const on = <T>(name: string, toMessage: (data: T) => Message) =>
    source.addEventListener(name, (event) => dispatch(toMessage(JSON.parse(event.data))));
  on<PipelineView[]>("pipelines", (pipelines) => ({ type: "pipelines-told", pipelines }));
  on<WorkerView[]>("workers", (workers) => ({ type: "workers-told", workers }));
  for (const type of Object.keys(runEventTypes)) {
    on<LoggedEvent>(type, (logged) => ({ type: "run-event", logged }));
  }
}

/** The boss was upgraded under an open page: its files are named by their content. */
async function reloadIfOutdated() {
  const page = await fetch("/").then(
    (response) => response.text(),
    () => "",
  );
  const files = [...document.querySelectorAll("script[src], link[rel=stylesheet]")].map(
    (element) => element.getAttribute("src") ?? element.getAttribute("href") ?? "",
  );
  if (page.includes("/app.js") && !files.every((file) => page.includes(file))) location.reload();
}

/** Brings what is under way in line with the state; called after every change. */
export function createEffects(dispatch: Dispatch): (state: State) => void {
  let listAskedFor = 0;
  let runsAskedFor = new Set<string>();
  let output: { key: string; abort: AbortController } | null = null;
  let clock: ReturnType<typeof setInterval> | null = null;

  return (state) => {
    if (state.connection === "open" && !state.runsLoaded && listAskedFor !== state.generation) {
      listAskedFor = state.generation;
      void loadRuns(dispatch);
    }

    const wanted = new Map(wantedRuns(state).map((id) => [`${state.generation}/${id}`, id]));
    for (const [key, id] of wanted) {
      if (!runsAskedFor.has(key)) void loadRun(id, dispatch);
    }
    runsAskedFor = new Set(wanted.keys());

    const wish = wantedOutput(state);
    if (wish?.key !== output?.key) {
      output?.abort.abort();
      output = wish && { key: wish.key, abort: new AbortController() };
      if (wish && output) void followOutput(wish, output.abort.signal, dispatch);
    }

    if (wantsClock(state) !== (clock !== null)) {
      if (clock !== null) clearInterval(clock);
      clock = wantsClock(state)
        ? setInterval(() => dispatch({ type: "clock-ticked", now: Date.now() }), clockMs)
        : null;
    }
  };
}

async function loadRuns(dispatch: Dispatch) {
  try {
    const runs = await request<RunSummary[]>(`/api/runs?limit=${maxRuns}`);
    dispatch({ type: "runs-loaded", runs });
  } catch (error) {
    dispatch({ type: "asked-in-vain", reason: `The runs cannot be listed: ${reasonOf(error)}` });
  }
}

async function loadRun(id: number, dispatch: Dispatch) {
  try {
    dispatch({ type: "run-loaded", snapshot: await request<RunSnapshot>(`/api/runs/${id}`) });
  } catch (error) {
    dispatch({ type: "run-missing", run: id, reason: reasonOf(error) });
  }
}

export function outputUrl({ run, ref, attempt }: Omit<OutputWish, "key">): string {
  const task = `${encodeURIComponent(ref.stage)}/${encodeURIComponent(ref.task)}`;
  return `/api/runs/${run}/tasks/${task}/output?attempt=${attempt}`;
}

async function followOutput(wish: OutputWish, signal: AbortSignal, dispatch: Dispatch) {
  const { key } = wish;
  let gathered = "";
  let timer: ReturnType<typeof setTimeout> | null = null;
  const flush = () => {
    timer = null;
    if (gathered === "") return;
    dispatch({ type: "output-received", key, text: gathered });
    gathered = "";
  };
  try {
    const url = `${outputUrl(wish)}&follow=1&tail=${maxShownChars}`;
    const response = await fetch(url, { signal });
    if (!response.ok || !response.body) throw new Error(await errorOf(response));
    const length = Number(response.headers.get("bettertest-output-length"));
    const skippedBytes = Math.max(0, length - maxShownChars);
    dispatch({ type: "output-opened", key, skippedBytes });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      gathered += next.value;
      timer ??= setTimeout(flush, gatherMs);
      // Faster than anybody reads: show what is there, and let the stream wait meanwhile.
      if (gathered.length > maxShownChars) {
        await new Promise(requestAnimationFrame);
        flush();
      }
    }
    flush();
    dispatch({ type: "output-ended", key });
  } catch (error) {
    flush();
    if (!signal.aborted) dispatch({ type: "output-failed", key, reason: reasonOf(error) });
  } finally {
    if (timer !== null) clearTimeout(timer);
  }
}

/** What the reader can ask the boss for. */
export interface Actions {
  start(request: StartRunRequest): void;
  cancel(run: number): void;
  rerun(run: number, request: RerunRequest): void;
  dismissProblem(): void;
}

export function createActions(dispatch: Dispatch): Actions {
  const ask = async (what: string, work: () => Promise<void>) => {
    dispatch({ type: "problem-dismissed" });
    try {
      await work();
    } catch (error) {
      dispatch({ type: "asked-in-vain", reason: `${what}: ${reasonOf(error)}` });
    }
  };
  const goTo = ({ run }: { run: number }) => {
    location.hash = runHref(run);
  };
  return {
    start: (body) =>
      ask("The run was not started", async () => goTo(await post("/api/runs", body))),
    cancel: (run) =>
      ask(`Run ${run} was not cancelled`, async () => void (await post(`/api/runs/${run}/cancel`))),
    rerun: (run, body) =>
      ask(`Run ${run} was not repeated`, async () =>
        goTo(await post(`/api/runs/${run}/rerun`, body)),
      ),
    dismissProblem: () => dispatch({ type: "problem-dismissed" }),
  };
}

function post(path: string, body: unknown = {}): Promise<{ run: number }> {
  return request(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

async function request<T>(path: string, init?: RequestInit): Promise<T> {
  const response = await fetch(path, init);
  if (!response.ok) throw new Error(await errorOf(response));
  return response.json();
}

async function errorOf(response: Response): Promise<string> {
  const body: Partial<ApiError> = await response.json().catch(() => ({}));
  return body.error ?? `the boss answered ${response.status}`;
}

function reasonOf(error: unknown): string {
  // What browsers call it when nobody answers.
  if (error instanceof TypeError) return "the boss does not answer";
  return error instanceof Error ? error.message : String(error);
}
