// `bettertest run --boss`: a run of a boss that is there already. Nothing has to start for it, so it is the quickest.

import { realpathSync } from "node:fs";
import { exitCodes } from "../model/exit-code.js";
import type { OutputChoice } from "../terminal/run-view.js";
import type { PipelineView } from "../wire/boss.js";
import { type BossAccess, openBossClient } from "./boss-access.js";
import { CliError, usageError } from "./cli-error.js";
import { findPipedef } from "./find-pipedef.js";
import {
  bossAccessFlags,
  jsonFlag,
  keepFailedFlag,
  runHereFlags,
  selectionFlags,
} from "./flags.js";
import { showRemoteRun } from "./follow-remote.js";
import { trapInterrupts } from "./interrupt.js";
import { type KeepFailedFlags, keepFailedSettings } from "./keep-failed.js";
import { givenFlags, runAgain } from "./say-again.js";

interface RunAtBossArgs extends BossAccess, KeepFailedFlags {
  readonly pipedef?: string | undefined;
  readonly only?: readonly string[] | undefined;
  readonly "keep-going": boolean;
  readonly output?: OutputChoice | undefined;
  readonly json: boolean;
}

export async function runAtBoss(args: RunAtBossArgs): Promise<number> {
  refuseFlagsOfOthers(args);
  const { json, output, only } = args;
  const interrupts = trapInterrupts();
  try {
    const client = openBossClient(args);
    const pipeline = pipelineOf(await client.pipelines(), args.pipedef, client.url);
    if (interrupts.signal.aborted) return exitCodes.cancelled;
    const run = await client.start({
      pipeline: pipeline.name,
      ...(only && { only: [...only] }),
      keepGoing: args["keep-going"],
      ...keepFailedSettings(args),
    });
    return await showRemoteRun(client, run, {
      json,
      output,
      interrupts,
      pipedef: pipeline.pipedef,
      rerunCommand: (ref) => runAgain(ref, args.pipedef, args, whereFlags),
      onInterrupt: () => client.cancel(run),
    });
  } finally {
    interrupts.stop();
  }
}

const whereFlags = { ...bossAccessFlags, ...keepFailedFlag };
const asked = { ...selectionFlags, ...jsonFlag, ...whereFlags };

/** A boss has workers, limits and folders of its own. */
function refuseFlagsOfOthers(args: object): void {
  const others = Object.fromEntries(
    Object.entries(runHereFlags).filter(([name]) => !(name in asked)),
  );
  const given = givenFlags(others, args).trim();
  if (given === "") return;
  throw usageError(
    `with --boss, ${given} has no effect: that is for the boss to say, where it is started`,
    "Leave it out, or run here: without --boss.",
  );
}

/** The one named, by its name or its file; else the one of this repo; else the only one. */
function pipelineOf(
  pipelines: readonly PipelineView[],
  named: string | undefined,
  url: string,
): PipelineView {
  const byName = pipelines.find(({ name }) => name === named);
  if (byName) return byName;
  const path = pathOf(named);
  const byPath = path !== null && pipelines.find(({ pipedef }) => realPath(pipedef) === path);
  if (byPath) return byPath;
  const missing = path ?? named;
  const [first, ...others] = pipelines;
  if (first && others.length === 0 && missing === undefined) return first;
  const names = pipelines.map(({ name }) => name).join(", ");
  throw usageError(
    missing === undefined
      ? `the boss at ${url} has several pipelines: ${names}`
      : `the boss at ${url} does not have ${missing}; it has: ${names || "none"}`,
    "Name one of them: bettertest run NAME --boss URL",
  );
}

/** Null where there is no such file here: the boss may be elsewhere. */
function pathOf(named: string | undefined): string | null {
  try {
    return realPath(findPipedef(named, process.cwd()));
  } catch (error) {
    if (error instanceof CliError) return null;
    throw error;
  }
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
