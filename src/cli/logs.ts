// `bettertest logs`: one task's bytes as they are, or all tasks' output under their names.

import { once } from "node:events";
import { exitCodes } from "../model/exit-code.js";
import { selectTasks, type TaskRef, taskLabel } from "../model/pipeline.js";
import { eachTask, findTask, isFinished, type Run, type TaskState } from "../model/run.js";
import { clock, mark, taskMs } from "../terminal/marks.js";
import { eachJsonLine, eachLine } from "../terminal/output.js";
import { reasonOf } from "../terminal/reason.js";
import { harmlessLine, oneLine } from "../terminal/text.js";
import type { BossClient } from "../wire/boss-client.js";
import { printJson } from "./boss-access.js";
import { usageError } from "./cli-error.js";
import { styleOf } from "./environment.js";
import { followService, followTask } from "./follow-task.js";
import { trapInterrupts } from "./interrupt.js";
import { noService, serviceOutput } from "./service-logs.js";

interface LogsOptions {
  readonly task: string | undefined;
  readonly follow: boolean;
  readonly service: string | undefined;
  readonly json: boolean;
  readonly bossArgument: string;
}

export async function printLogs(
  client: BossClient,
  id: number,
  options: LogsOptions,
): Promise<number> {
  if (options.task === undefined && options.service !== undefined)
    throw usageError("--service is of one task", `bettertest logs ${id} Stage.task --service db`);
  if (options.task === undefined && options.follow) {
    const { followRemoteRun } = await import("./follow-remote.js");
    const { json, bossArgument } = options;
    const code = await followRemoteRun(client, id, { json, bossArgument, output: "all" });
    // The verdict is the run's; the logs were printed.
    return code === exitCodes.cancelled ? code : exitCodes.passed;
  }
  const { run } = await client.run(id);
  if (options.json) printJson({ type: "start", run: id });
  if (options.task !== undefined) return await printOne(client, run, options.task, options);

  for (const { ref, task } of eachTask(run)) {
    if (task.attempts.length === 0) continue;
    if (!options.json) await write(`${headline(ref, task)}\n`);
    const attempt = task.attempts.length;
    await printLines(client.output({ run: id, ...ref, attempt }), ref, options);
  }
  return exitCodes.passed;
}

async function printOne(
  client: BossClient,
  run: Run,
  typed: string,
  options: LogsOptions,
): Promise<number> {
  const ref = taskNamed(run, typed);
  const interrupts = trapInterrupts();
  try {
    const hasRun = hasBegun(run, ref) || !isOver(findTask(run, ref));
    const output = hasRun ? outputOf(client, run, ref, options, interrupts.signal) : noOutput();
    if (options.json || process.stdout.isTTY) await printLines(output, ref, options);
    // To a file or a program: the bytes as they are.
    else for await (const chunk of output) await write(chunk);
    if (interrupts.signal.aborted) return exitCodes.cancelled;
    const { run: now } = options.follow ? await client.run(run.id) : { run };
    if (!hasBegun(now, ref)) {
      const task = findTask(now, ref);
      const why = task && reasonOf(task);
      process.stderr.write(
        `${oneLine(taskLabel(ref))} was ${task?.status}${why ? `: ${why}` : ""}\n`,
      );
    }
    return exitCodes.passed;
  } catch (error) {
    if (interrupts.signal.aborted) return exitCodes.cancelled;
    throw error;
  } finally {
    interrupts.stop();
  }
}

async function* outputOf(
  client: BossClient,
  run: Run,
  ref: TaskRef,
  { follow, service }: LogsOptions,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const attempts = findTask(run, ref)?.attempts ?? [];
  const attempt = attempts.length;
  if (follow && !isFinished(run)) {
    const followed = { run: run.id, ref, first: Math.max(1, attempt), signal };
    if (service === undefined) return yield* followTask(client, followed);
    const wasThere = yield* followService(client, { ...followed, service });
    if (wasThere || signal.aborted) return;
    const { run: now } = await client.run(run.id);
    if (hasBegun(now, ref)) throw noService(now.id, ref, service, findTask(now, ref)?.attempts);
  } else if (service !== undefined) {
    yield* serviceOutput(client, attempts, { run: run.id, ref, service, signal });
  } else {
    yield* client.output({ run: run.id, ...ref, ...(attempt > 0 && { attempt }), signal });
  }
}

async function* noOutput(): AsyncGenerator<Uint8Array> {}

function hasBegun(run: Run, ref: TaskRef): boolean {
  return (findTask(run, ref)?.attempts.length ?? 0) > 0;
}

/** It has not begun, and never will. */
function isOver(task: TaskState | undefined): boolean {
  return task?.status === "skipped" || task?.status === "cancelled";
}

/** Throws a usage error with what there is. */
export function taskNamed(run: Run, typed: string): TaskRef {
  if (!run.pipeline) throw usageError(`run ${run.id} has not loaded its pipedef yet`);
  const selection = selectTasks(run.pipeline, [typed]);
  const [ref, more] = selection.ok ? selection.tasks : [];
  if (ref && !more) return ref;
  const names = selection.ok ? selection.tasks.map(taskLabel) : selection.suggestions;
  const what = selection.ok
    ? `"${typed}" is more than one task`
    : `run ${run.id} has no task "${typed}"`;
  throw usageError(what, `There is: ${names.slice(0, 8).join(", ")}`);
}

async function printLines(
  output: AsyncIterable<Uint8Array>,
  { stage, task }: TaskRef,
  { json, task: named }: LogsOptions,
): Promise<void> {
  const style = styleOf(process.stdout);
  const rule = named === undefined ? `  ${style.dim("│")} ` : "";
  if (json) {
    for await (const line of eachJsonLine(output)) {
      await write(`${JSON.stringify({ type: "output", stage, task, ...line })}\n`);
    }
    return;
  }
  for await (const line of eachLine(output)) {
    await write(`${rule}${harmlessLine(line, { colour: style.colour })}\n`);
  }
}

function headline(ref: TaskRef, task: TaskState): string {
  const style = styleOf(process.stdout);
  const ms = taskMs(task, Date.now());
  return [
    `${mark(task.status, style)} ${style.bold(oneLine(taskLabel(ref)))}`,
    reasonOf(task),
    ms === null ? "" : style.dim(clock(ms)),
  ]
    .filter(Boolean)
    .join("  ");
}

async function write(text: string | Uint8Array): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, "drain");
}
