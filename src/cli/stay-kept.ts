// After a run with --keep-failed: what it has left goes with this program, so it stays, and can be asked for its
// sandboxes like a boss, until the last one is gone or somebody has seen enough.

import { openAccess } from "../access/open-access.js";
import { createApp } from "../boss/app.js";
import type { Engine } from "../boss/engine.js";
import { listKept } from "../boss/run/kept-sandboxes.js";
import { eachTask, type Run } from "../model/run.js";
import { version } from "../version.js";
import { listen } from "../wire/listen.js";
import { printJson } from "./boss-access.js";
import { enterCommand, keptUntil } from "./kept-list.js";
import { bossArgument } from "./say-again.js";

/** The worker tells of what it keeps at about the time when it tells that the command has ended. */
const mustBeListedWithinMs = 5_000;

export async function stayWhileKept(
  engine: Engine,
  {
    signal,
    json,
    log,
  }: {
    readonly signal: AbortSignal;
    readonly json: boolean;
    readonly log: (line: string) => void;
  },
): Promise<void> {
  const [newest] = engine.store.runs({ limit: 1 });
  const run = newest && engine.store.run(newest.id);
  if (!run || signal.aborted || keptIn(run).length === 0) return;
  const host = "127.0.0.1";
  const access = openAccess({}, { role: "boss", host, log });
  const app = createApp(engine, { version, log, audit: access.audit });
  const fetch = access.guard((request) => app.fetch(request));
  const server = await listen({ fetch, host, port: 0, log });
  try {
    const listed = async (isWanted: (count: number) => boolean, until: AbortSignal) => {
      for await (const _ of engine.changes.changes(until)) {
        if (isWanted(listKept([run], engine.workers).length)) return;
      }
    };
    const soon = AbortSignal.timeout(mustBeListedWithinMs);
    await listed((count) => count > 0, AbortSignal.any([signal, soon]));
    const kept = listKept([run], engine.workers);
    if (kept.length === 0) return;
    const url = `http://localhost:${server.port}`;
    if (json) printJson({ type: "kept", boss: url, kept });
    else {
      process.stdout.write("\nKept to be entered; Ctrl-C removes them:\n");
      for (const one of kept) {
        process.stdout.write(
          `  ${keptUntil(one.until)}  ${enterCommand(one, bossArgument({ boss: url }))}\n`,
        );
      }
    }
    await listed((count) => count === 0, signal);
  } finally {
    const gone = keptIn(run).map(({ worker, execution }) =>
      engine.workers
        .clientOf(worker)
        .kept.release(execution)
        .catch(() => {}),
    );
    await Promise.all(gone);
    await server.close();
    access.close();
  }
}

function keptIn(run: Run) {
  return [...eachTask(run)]
    .flatMap(({ task }) => task.attempts.flatMap(({ kept = [] }) => kept))
    .filter((one) => "execution" in one);
}
