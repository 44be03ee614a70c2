// Brings what is under way in line with the state: requests, the clock, the browser's title, icon and
// notifications. It reads from the state what should be, starts that, and tells update() what comes back.

import type { RunSnapshot, RunSummary, SessionView } from "../src/wire/boss.js";
import { createAnnouncer } from "./announce.js";
import { ask, goToLogin, reasonOf } from "./request.js";
import { maxRuns, type State, wantedRuns, wantsClock } from "./state.js";
import type { Message } from "./update.js";
import { wishesOf } from "./wishes.js";

export type Dispatch = (message: Message) => void;

const clockMs = 500;
const retryMs = 2000;

/** The returned function is called after every change. */
export function createEffects(dispatch: Dispatch): (state: State) => void {
  let listAskedFor = 0;
  let runsAskedFor = new Set<string>();
  let wished = new Map<string, string>();
  let clock: ReturnType<typeof setInterval> | null = null;
  let generation = 0;
  let clockAheadMs = 0;
  const announce = createAnnouncer();

  return (state) => {
    if (state.connection === "open" && state.generation !== generation) {
      generation = state.generation;
      void reloadIfOutdated();
      void loadSession(dispatch);
    }
    if (state.connection === "open" && !state.runsLoaded && listAskedFor !== state.generation) {
      listAskedFor = state.generation;
      void loadRuns(dispatch).catch(() => {
        // Nothing can be shown without it, so it is asked for again.
        listAskedFor = 0;
        setTimeout(
          () => dispatch({ type: "clock-ticked", now: Date.now() + clockAheadMs }),
          retryMs,
        );
      });
    }

    const wanted = new Map(wantedRuns(state).map((id) => [`${state.generation}/${id}`, id]));
    for (const [key, id] of wanted) {
      if (!runsAskedFor.has(key)) void loadRun(id, dispatch);
    }
    runsAskedFor = new Set(wanted.keys());

    const wishes = new Map<string, string>();
    for (const { url, version } of wishesOf(state)) {
      wishes.set(url, version);
      if (wished.get(url) === version || state.fetched.get(url)?.version === version) continue;
      // An answer that was overtaken by another wish is of no use.
      void fulfil(url, version, (message) => wished.get(url) === version && dispatch(message));
    }
    wished = wishes;

    clockAheadMs = state.clockAheadMs;
    if (wantsClock(state) !== (clock !== null)) {
      if (clock !== null) clearInterval(clock);
      clock = wantsClock(state)
        ? setInterval(
            () => dispatch({ type: "clock-ticked", now: Date.now() + clockAheadMs }),
            clockMs,
          )
        : null;
    }
    announce(state);
  };
}

/** The boss was upgraded under an open page: its files are named by their content. */
async function reloadIfOutdated() {
  const page = await fetch("/").then(
    (response) => (response.ok ? response.text() : ""),
    () => "",
  );
  const entry = document.querySelector("script[type=module]")?.getAttribute("src");
  if (entry && page.includes("/assets/app-") && !page.includes(entry)) location.reload();
}

/** Asked when the stream is refused: it cannot say why. */
export async function loginIfAsked(): Promise<void> {
  const status = await fetch("/api/session").then(
    (response) => response.status,
    () => 0,
  );
  if (status === 401) goToLogin();
}

async function loadSession(dispatch: Dispatch) {
  const session = await ask<SessionView>("/api/session").catch(() => null);
  if (session) dispatch({ type: "session-told", session });
}

async function loadRuns(dispatch: Dispatch) {
  try {
    const runs = await ask<RunSummary[]>(`/api/runs?limit=${maxRuns}`);
    dispatch({ type: "runs-loaded", runs });
  } catch (error) {
    dispatch({ type: "asked-in-vain", reason: `The runs cannot be listed: ${reasonOf(error)}` });
    throw error;
  }
}

async function loadRun(id: number, dispatch: Dispatch) {
  try {
    dispatch({ type: "run-loaded", snapshot: await ask<RunSnapshot>(`/api/runs/${id}`) });
  } catch (error) {
    dispatch({ type: "run-missing", run: id, reason: reasonOf(error) });
  }
}

async function fulfil(url: string, version: string, tell: (message: Message) => unknown) {
  const answer = await ask<unknown>(url).then(
    (data) => ({ version, data, problem: null }),
    (error) => ({ version, data: null, problem: reasonOf(error) }),
  );
  tell({ type: "fetched", url, answer });
}
