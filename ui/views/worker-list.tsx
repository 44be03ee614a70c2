import type { WorkerView } from "../../src/wire/boss.js";
import { type Status, workerName } from "../format.js";
import { StatusIcon } from "./status.js";

/** As many are drawn one by one; of more only the numbers are told. */
const maxDrawn = 64;

export function WorkerList({ workers }: { workers: readonly WorkerView[] | null }) {
  if (workers === null) return <p class="quiet">Loading...</p>;
  if (workers.length === 0) {
    return (
      <>
        <p class="quiet">
          None yet: one appears when a task runs on it. To bring one of the boss's own:
        </p>
        <pre class="teach">npx bettertest worker{"\n"}npx bettertest boss --worker URL</pre>
      </>
    );
  }
  return (
    <ul>
      {workers.map((worker) => (
        <Worker key={worker.url} worker={worker} />
      ))}
    </ul>
  );
}

const icons: Record<WorkerView["status"], Status> = {
  connected: "passed",
  connecting: "waiting",
  lost: "failed",
};

/** One that answers and takes nothing, since its engine is away or it stops, is as bad as none. */
function iconOf({ status, problem }: WorkerView): Status {
  return status === "connected" && problem !== null ? "errored" : icons[status];
}

function sandboxes(count: number): string {
  return `${count} ${count === 1 ? "sandbox" : "sandboxes"}`;
}

function Worker({ worker }: { worker: WorkerView }) {
  const { url, status, info, problem } = worker;
  return (
    <li class={`worker is-${status}`}>
      <p class="worker-name">
        <StatusIcon status={iconOf(worker)} />
        <bdi>{workerName(url)}</bdi>
      </p>
      {info && status === "connected" && (
        <>
          {info.slots <= maxDrawn && (
            <div class="slots" aria-hidden="true">
              {Array.from({ length: info.slots }, (_, slot) => (
                <span key={slot} class={slot < info.running ? "is-busy" : ""} />
              ))}
            </div>
          )}
          <p class="numbers">
            {info.running} of {info.slots} slots busy
            {info.queued > 0 && `, ${info.queued} waiting`}
          </p>
          {info.ready > 0 && <p>{sandboxes(info.ready)} ready for commands</p>}
          {info.kept.length > 0 && <p>{sandboxes(info.kept.length)} of red commands kept</p>}
          <p>
            {info.executor}
            {!info.isolated && ", not isolated from its machine"}, {info.version}
          </p>
        </>
      )}
      {status !== "connected" && <p>{status}</p>}
      {problem !== null && <p>{problem}</p>}
    </li>
  );
}
