// Brings what is under way in line with the state: requests, the clock, the browser's title, icon and
// notifications. It reads from the state what should be, starts that, and tells update() what comes back.

import type { SessionView } from "../src/wire/boss.js";
import { createAnnouncer } from "./announce.js";
import type { Fetched } from "./fetched.js";
import { createPursuit, type Want } from "./pursuit.js";
import { ask, goToLogin } from "./request.js";
import { clockPaceMs, maxRuns, type State, wantedRuns } from "./state.js";
import type { Message } from "./update.js";
import { runUrl } from "./urls.js";
import { wishesOf } from "./wishes.js";

export type Dispatch = (message: Message) => void;

/** The returned function is called after every change. */
export function createEffects(dispatch: Dispatch): (state: State) => void {
  let clock: ReturnType<typeof setInterval>;
  let paceMs = 0;
  let generation = 0;
  let clockAheadMs = 0;
  const tick = () => {
    if (!document.hidden) dispatch({ type: "clock-ticked", now: Date.now() + clockAheadMs });
  };
  addEventListener("visibilitychange", tick);
  const announce = createAnnouncer();
  const pursue = createPursuit(dispatch);

  return (state) => {
    if (state.connection === "open" && state.generation !== generation) {
      generation = state.generation;
      void reloadIfOutdated();
      void loadSession(dispatch);
    }
    pursue(wantsOf(state));

    clockAheadMs = state.clockAheadMs;
    if (paceMs !== clockPaceMs(state)) {
      paceMs = clockPaceMs(state);
      clearInterval(clock);
      clock = setInterval(tick, paceMs);
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

function wantsOf(state: State): Want[] {
  const generation = String(state.generation);
  const wants: Want[] = [];
  // Nothing can be shown without it.
  if (state.connection === "open" && !state.runsLoaded)
    wants.push({
      key: "runs",
      version: generation,
      ask: async () => ({ type: "runs-loaded", runs: await ask(`/api/runs?limit=${maxRuns}`) }),
      failed: (reason) => ({
        type: "asked-in-vain",
        reason: `The runs cannot be listed: ${reason}`,
      }),
    });
  for (const run of wantedRuns(state)) {
    wants.push({
      key: `run ${run}`,
      version: generation,
      ask: async () => ({ type: "run-loaded", snapshot: await ask(runUrl(run)) }),
      failed: (reason, isFinal) => ({ type: isFinal ? "run-missing" : "run-delayed", run, reason }),
    });
  }
  for (const { url, version } of wishesOf(state)) {
    if (state.fetched.get(url)?.version === version) continue;
    const fetched = (answer: Fetched): Message => ({ type: "fetched", url, answer });
    wants.push({
      key: url,
      version,
      ask: async () => fetched({ version, data: await ask(url), problem: null }),
      failed: (problem, isFinal) =>
        fetched({ version: isFinal ? version : null, data: null, problem }),
    });
  }
  return wants;
}
