// `bettertest repro`: one command on standard output, and what it lacks on standard error.

import { dockerCommand, dockerNotes } from "../model/docker-command.js";
import type { CallStarted } from "../model/events.js";
import { exitCodes } from "../model/exit-code.js";
import { type TaskRef, taskLabel } from "../model/pipeline.js";
import { findTask, type Run } from "../model/run.js";
import type { ServiceState } from "../model/service.js";
import { harmlessText, oneLine } from "../terminal/text.js";
import { printJson } from "./boss-access.js";
import { usageError } from "./cli-error.js";
import { rerunAgain } from "./say-again.js";

export function printRepro(
  run: Run,
  ref: TaskRef,
  {
    docker,
    json,
    bossArgument,
  }: { readonly docker: boolean; readonly json: boolean; readonly bossArgument: string },
): number {
  const label = taskLabel(ref);
  const again = rerunAgain(run.id, ref, bossArgument);
  const { calls = [], services = {} } = findTask(run, ref)?.attempts.at(-1) ?? {};
  const last = calls.at(-1);
  if (docker && !last) {
    throw usageError(
      `${oneLine(label)} of run ${run.id} has run no command, so there is none to run again`,
    );
  }
  const command = docker && last ? dockerCommand(last) : again;
  const notes = docker && last ? notesOn(last, calls.length, run, services[last.call] ?? []) : [];
  if (json) {
    const inDocker = last && { docker: dockerCommand(last), secrets: last.secrets ?? [] };
    printJson({ run: run.id, ...ref, command, rerun: again, ...inDocker, notes });
    return exitCodes.passed;
  }
  // Elsewhere it goes to a shell, byte for byte.
  process.stdout.write(`${process.stdout.isTTY ? harmlessText(command) : command}\n`);
  for (const note of notes) process.stderr.write(`${oneLine(note)}\n`);
  return exitCodes.passed;
}

function notesOn(
  call: CallStarted,
  calls: number,
  { sources = [] }: Run,
  services: readonly ServiceState[],
): string[] {
  const lacks = dockerNotes(call, { sources, services });
  return [
    ...(calls > 1
      ? [`the task ran ${calls} commands, each in its own container: this is the last`]
      : []),
    ...lacks,
    ...(lacks.length > 0 ? ["`rerun` brings along all that it had"] : []),
  ];
}
