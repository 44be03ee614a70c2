// A boss's run, shown like one of this process.

import { exitCodes } from "../model/exit-code.js";
import type { TaskRef } from "../model/pipeline.js";
import type { OutputChoice } from "../terminal/run-view.js";
import { type BossClient, BossRefused } from "../wire/boss-client.js";
import { infrastructureError } from "./cli-error.js";
import { exitCodeOfRun, followRun } from "./follow-run.js";
import { aborted, type Interrupts, trapInterrupts } from "./interrupt.js";
import { createRunView } from "./run-view.js";
import { rerunAgain } from "./say-again.js";

interface Shown {
  readonly json: boolean;
  readonly output: OutputChoice | undefined;
}

/** Ctrl-C stops watching; the run goes on. */
export async function followRemoteRun(
  client: BossClient,
  id: number,
  options: Shown & {
    /** As in a suggested command: " --boss URL", and what else it takes. */
    readonly bossArgument: string;
  },
): Promise<number> {
  const interrupts = trapInterrupts();
  try {
    const { run: known } = await client.run(id);
    return await showRemoteRun(client, id, {
      ...options,
      interrupts,
      pipedef: known.request.pipedef,
      rerunCommand: (ref) => rerunAgain(id, ref, options.bossArgument),
    });
  } finally {
    interrupts.stop();
  }
}

export async function showRemoteRun(
  client: BossClient,
  id: number,
  {
    interrupts,
    onInterrupt,
    ...options
  }: Shown & {
    readonly pipedef: string;
    readonly rerunCommand: (ref: TaskRef) => string;
    readonly interrupts: Interrupts;
    /** Ends the run, which is watched to its end then. Absent: Ctrl-C ends the watching. */
    readonly onInterrupt?: () => Promise<void>;
  },
): Promise<number> {
  const view = createRunView({
    ...options,
    where: `the boss at ${client.url}, run ${id}`,
    readOutput: ({ stage, task, attempt }) => client.output({ run: id, stage, task, attempt }),
  });
  interrupts.onExit(() => view.abandon());
  const watching = new AbortController();
  void aborted(interrupts.signal).then(async () => {
    try {
      if (onInterrupt) return await onInterrupt();
    } catch (error) {
      // It ended by itself just before: its end is on the way.
      if (error instanceof BossRefused) return;
    }
    watching.abort();
  });
  const run = await followRun(client.events(id, { signal: watching.signal }), view);
  if (run) return exitCodeOfRun(run);
  if (interrupts.signal.aborted) return exitCodes.cancelled;
  throw infrastructureError(`the events of run ${id} ended before the run did`);
}
