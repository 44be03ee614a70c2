import type { Actions } from "../actions.js";
import type { State } from "../state.js";

/** What every page is given. */
export interface PageProps {
  readonly state: State;
  readonly actions: Actions;
}
