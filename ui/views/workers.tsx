import type { PageProps } from "./page.js";
import { WorkerList } from "./worker-list.js";

export function WorkersPage({ state }: PageProps) {
  const connected = (state.workers ?? []).filter(({ status }) => status === "connected");
  const sum = (count: (info: NonNullable<(typeof connected)[0]["info"]>) => number) =>
    connected.reduce((total, { info }) => total + (info ? count(info) : 0), 0);
  return (
    <div class="narrow">
      <h1>Workers</h1>
      {connected.length > 0 && (
        <p class="quiet numbers">
          {sum(({ running }) => running)} of {sum(({ slots }) => slots)} slots busy,{" "}
          {sum(({ queued }) => queued)} commands waiting
        </p>
      )}
      <WorkerList workers={state.workers} />
    </div>
  );
}
