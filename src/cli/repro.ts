// `bettertest repro`: one command on standard output, and what it lacks on standard error.

import { dockerCommand } from "../model/docker-command.js";
import type { RunSource } from "../model/events.js";
import { exitCodes } from "../model/exit-code.js";
import { type TaskRef, taskLabel } from "../model/pipeline.js";
import { findTask, type Run } from "../model/run.js";
import type { ServiceState } from "../model/service.js";
import { shellWord } from "../model/shell-word.js";
import { oneLine } from "../terminal/text.js";
import { printJson } from "./boss-access.js";
import { usageError } from "./cli-error.js";
import { programName } from "./environment.js";

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
  const again = `${programName()} rerun ${run.id} --only ${shellWord(label)} --follow${bossArgument}`;
  const { calls = [], services = {} } = findTask(run, ref)?.attempts.at(-1) ?? {};
  const last = calls.at(-1);
  if (docker && !last) {
    throw usageError(
      `${oneLine(label)} of run ${run.id} has run no command, so there is none to run again`,
    );
  }
  const command = docker && last ? dockerCommand(last) : again;
  const beside = (last && services[last.call]) ?? [];
  const notes =
    docker && last
      ? [...dockerNotes(run, last.secrets ?? [], calls.length), ...beside.map(withoutService)]
      : [];
  if (json) {
    const inDocker = last && { docker: dockerCommand(last), secrets: last.secrets ?? [] };
    printJson({ run: run.id, ...ref, command, rerun: again, ...inDocker, notes });
    return exitCodes.passed;
  }
  process.stdout.write(`${command}\n`);
  for (const note of notes) process.stderr.write(`${oneLine(note)}\n`);
  return exitCodes.passed;
}

function dockerNotes(run: Run, secrets: readonly string[], calls: number): string[] {
  return [
    ...(calls > 1
      ? [`the task ran ${calls} commands, each in its own container: this is the last`]
      : []),
    ...(secrets.length > 0 ? [`set these yourself before: ${secrets.join(", ")}`] : []),
    ...(run.sources ?? []).map(
      (source) => `without its source, ${wordsOf(source)}; \`rerun\` brings it along`,
    ),
  ];
}

function withoutService({ name, image }: ServiceState): string {
  return `without its service ${name} (${image}); \`rerun\` starts it too`;
}

function wordsOf(source: RunSource): string {
  if (source.kind === "git") return `${source.url} at ${source.commit}`;
  const { commit, dirty, tree } = source;
  const changed = dirty ? " with changes" : "";
  return commit === null ? `tree ${tree}` : `commit ${commit}${changed} (tree ${tree})`;
}
