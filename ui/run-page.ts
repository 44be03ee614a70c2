// What the page of a run remembers besides the run: what the reader filters by, and in what order.

import type { TaskStatus } from "../src/model/run.js";

export interface RunPageState {
  readonly text: string;
  /** Empty: all. */
  readonly statuses: readonly TaskStatus[];
  readonly redFirst: boolean;
}

export type RunPageMessage =
  | { readonly type: "filter-text"; readonly text: string }
  | { readonly type: "filter-status"; readonly statuses: readonly TaskStatus[] }
  | { readonly type: "red-first"; readonly on: boolean };

export const initialRunPage: RunPageState = { text: "", statuses: [], redFirst: true };

export function updateRunPage(page: RunPageState, message: RunPageMessage): RunPageState {
  switch (message.type) {
    case "filter-text":
      return { ...page, text: message.text };
    case "filter-status": {
      const isSame = message.statuses.every((status) => page.statuses.includes(status));
      return { ...page, statuses: isSame ? [] : message.statuses };
    }
    case "red-first":
      return { ...page, redFirst: message.on };
    default:
      return message satisfies never;
  }
}
