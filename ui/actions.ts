// What the reader can ask for.

import type { RerunRequest, StartRunRequest } from "../src/wire/boss.js";
import type { Route } from "./route.js";
import type { Message } from "./update.js";

export interface Actions {
  send(message: Message): void;
  go(route: Route | string, how?: "push" | "replace"): void;
  start(request: StartRunRequest): void;
  cancel(run: number): void;
  rerun(run: number, request: RerunRequest): void;
  /** A pinned run is never deleted to make room. */
  pin(run: number, on: boolean): void;
  /** Tells by the browser when the run ends, or no longer does. */
  watch(run: number, on: boolean): void;
}
