// A boss's run, shown like one of this process. Ctrl-C stops watching; the run goes on.

import { exitCodes } from "../model/exit-code.js";
import type { OutputChoice } from "../terminal/run-view.js";
import type { BossClient } from "../wire/boss-client.js";
import { infrastructureError } from "./cli-error.js";
import { exitCodeOfRun, followRun } from "./follow-run.js";
import { trapInterrupts } from "./interrupt.js";
import { createRunView } from "./run-view.js";
import { rerunAgain } from "./say-again.js";

export async function followRemoteRun(
  client: BossClient,
  id: number,
  options: {
    readonly json: boolean;
    readonly output: OutputChoice | undefined;
    /** As in a suggested command: " --boss URL", and what else it takes. */
    readonly bossArgument: string;
  },
): Promise<number> {
  const interrupts = trapInterrupts();
  const { run: known } = await client.run(id);
  const view = createRunView({
    ...options,
    pipedef: known.request.pipedef,
    where: `the boss at ${client.url}, run ${id}`,
    readOutput: ({ stage, task, attempt }) => client.output({ run: id, stage, task, attempt }),
    rerunCommand: (ref) => rerunAgain(id, ref, options.bossArgument),
  });
  interrupts.onExit(() => view.abandon());
  try {
    const run = await followRun(client.events(id, { signal: interrupts.signal }), view);
    if (run) return exitCodeOfRun(run);
    if (interrupts.signal.aborted) return exitCodes.cancelled;
    throw infrastructureError(`the events of run ${id} ended before the run did`);
  } finally {
    interrupts.stop();
  }
}
