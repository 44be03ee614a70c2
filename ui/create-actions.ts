import type { Actions } from "./actions.js";
import { navigate } from "./navigate.js";
import { reasonOf } from "./refusal.js";
import { post } from "./request.js";
import { runHref } from "./route.js";
import type { Message } from "./update.js";

export function createActions(dispatch: (message: Message) => void): Actions {
  const attempt = async (what: string, work: () => Promise<void>) => {
    dispatch({ type: "problem-dismissed" });
    try {
      await work();
    } catch (error) {
      dispatch({ type: "asked-in-vain", reason: `${what}: ${reasonOf(error)}` });
    }
  };
  return {
    send: dispatch,
    go: navigate,
    start: (body) =>
      attempt("The run was not started", async () =>
        navigate(runHref((await post("/api/runs", body)).run)),
      ),
    cancel: (run) =>
      attempt(`Run ${run} was not cancelled`, async () => {
        await post(`/api/runs/${run}/cancel`);
      }),
    rerun: (run, body) =>
      attempt(`Run ${run} was not repeated`, async () =>
        navigate(runHref((await post(`/api/runs/${run}/rerun`, body)).run)),
      ),
    pin: (run, on) =>
      attempt(`Run ${run} was not ${on ? "pinned" : "unpinned"}`, async () => {
        await post(`/api/runs/${run}/${on ? "pin" : "unpin"}`);
      }),
    watch: (run, on) =>
      attempt("The browser will not notify you", async () => {
        if (on && (await Notification.requestPermission()) !== "granted") {
          throw new Error("it does not allow this page to; its settings for this site do");
        }
        dispatch({ type: "watch", run, on });
      }),
  };
}
