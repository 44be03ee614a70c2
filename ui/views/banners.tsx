// What is wrong, in words, above every page.

import { formatDuration, formatTime } from "../format.js";
import { useKeys } from "../use-keys.js";
import { Icon } from "./icons.js";
import type { PageProps } from "./page.js";

export function Banners({ state, actions }: PageProps) {
  const { connection, lostAt, generation, health, problem, session, lostForMs } = state;
  return (
    <>
      {lostAt !== null && (
        <div class="banner is-bad" role="alert">
          <Icon name="offline" />
          <p>
            <b>
              {connection === "lost"
                ? "Connection lost, trying again."
                : "Connected again, loading what has changed."}
            </b>{" "}
            {generation === 0
              ? "The boss has not answered yet."
              : `What you see is as it was at ${formatTime(lostAt, lostAt)}`}
            {generation > 0 && lostForMs > 5000 && `, ${formatDuration(lostForMs)} ago`}
          </p>
        </div>
      )}
      {connection === "open" && health && health.reasons.length > 0 && (
        <div class="banner is-warning" role="status">
          <Icon name="warning" />
          <ul>
            {health.reasons.map((reason) => (
              <li key={reason}>{reason}</li>
            ))}
          </ul>
        </div>
      )}
      {session?.access === "read" && (
        <div class="banner" role="status">
          <Icon name="lock" />
          <p>You may look at everything here, and start or cancel nothing.</p>
        </div>
      )}
      {problem !== null && (
        <Problem words={problem} dismiss={() => actions.send({ type: "problem-dismissed" })} />
      )}
    </>
  );
}

/** On its own, so that its key comes and goes with it: Escape is the message's before it is the page's. */
function Problem({ words, dismiss }: { words: string; dismiss: () => void }) {
  useKeys([{ keys: "Escape", words: "Dismiss the message", group: "Everywhere", run: dismiss }]);
  return (
    <div class="banner is-bad" role="alert">
      <Icon name="warning" />
      <p>{words}</p>
      <button type="button" onClick={dismiss}>
        Dismiss
      </button>
    </div>
  );
}
