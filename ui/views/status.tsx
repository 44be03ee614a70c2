// A state is said three times: by color, by shape and in words, so that no single sense is needed.

import { formatDuration, type Status } from "../format.js";

/** Paths in a box of 16 by 16, on a disc or in a ring. */
const shapes: Record<Status, { readonly disc: boolean; readonly path: string }> = {
  waiting: { disc: false, path: "" },
  queued: { disc: false, path: "M8 4.5V8l2.5 1.5" },
  running: { disc: false, path: "" },
  passed: { disc: true, path: "M4.6 8.3l2.3 2.3 4.5-4.9" },
  failed: { disc: true, path: "M5.3 5.3l5.4 5.4M10.7 5.3l-5.4 5.4" },
  errored: { disc: true, path: "M8 4v5M8 11.2v.9" },
  cancelled: { disc: false, path: "M4 12L12 4" },
  skipped: { disc: false, path: "M5 8h6" },
};

/** `words`: whether it says its state to those who see no picture; false where the word stands beside it. */
export function StatusIcon({ status, words = false }: { status: Status; words?: boolean }) {
  const { disc, path } = shapes[status];
  return (
    <>
      <svg class={`icon is-${status}`} viewBox="0 0 16 16" aria-hidden="true">
        {disc ? (
          <circle class="disc" cx="8" cy="8" r="7.5" />
        ) : (
          <circle class="ring" cx="8" cy="8" r="6.5" />
        )}
        {status === "running" && <path class="arc" d="M8 1.5a6.5 6.5 0 0 1 6.5 6.5" />}
        <path class={disc ? "mark on-disc" : "mark"} d={path} />
      </svg>
      {words && <span class="unseen">{status} </span>}
    </>
  );
}

export function StatusBadge({ status }: { status: Status }) {
  return (
    <span class={`badge is-${status}`} data-status={status}>
      <StatusIcon status={status} />
      {status}
    </span>
  );
}

export function Duration(props: { from: number | null; to: number | null; now: number }) {
  const { from, to, now } = props;
  if (from === null) return null;
  return <span class="duration">{formatDuration(Math.max(0, (to ?? now) - from))}</span>;
}
