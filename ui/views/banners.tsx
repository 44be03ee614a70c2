// What is wrong, in words, above every page.

import { formatDuration, formatTime } from "../format.js";
import { useKeys } from "../use-keys.js";
import { Icon } from "./icons.js";
import type { PageProps } from "./page.js";

export function Banners({ state, actions }: PageProps) {
  const { connection, lostAt, generation, health, problem, session, now } = state;
  const dismiss = () => actions.send({ type: "problem-dismissed" });
  useKeys([
    ...(problem !== null
      ? [{ keys: "Escape", words: "Dismiss the message", group: "Everywhere", run: dismiss }]
      : []),
  ]);
  return (
    <>
      {connection === "lost" && lostAt !== null && (
        <div class="banner is-bad" role="alert">
          <Icon name="offline" />
          <p>
            <b>Connection lost, trying again.</b>{" "}
            {generation === 0
              ? "The boss has not answered yet."
              : `What you see is as it was at ${formatTime(lostAt, lostAt)}`}
            {generation > 0 && now - lostAt > 5000 && `, ${formatDuration(now - lostAt)} ago`}
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
        <div class="banner is-bad" role="alert">
          <Icon name="warning" />
          <p>{problem}</p>
          <button type="button" onClick={dismiss}>
            Dismiss
          </button>
        </div>
      )}
    </>
  );
}
