// `bettertest logs`: one task's bytes as they are, or all tasks' output under their names.

import { once } from "node:events";
import { exitCodes } from "../model/exit-code.js";
import { selectTasks, type TaskRef, taskLabel } from "../model/pipeline.js";
import { eachTask, findTask, isFinished, type Run, type TaskState } from "../model/run.js";
import { clock, mark, taskMs } from "../terminal/marks.js";
import { eachLine } from "../terminal/output.js";
import { reasonOf } from "../terminal/reason.js";
import { harmlessLine, oneLine } from "../terminal/text.js";
import type { BossClient } from "../wire/boss-client.js";
import { printJson } from "./boss-access.js";
import { usageError } from "./cli-error.js";
import { styleOf } from "./environment.js";
import { trapInterrupts } from "./interrupt.js";
import { serviceOutput } from "./service-logs.js";

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
    await printLines(client.output({ run: id, ...ref }), ref, options);
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
  const task = findTask(run, ref);
  if (task?.status === "skipped") {
    process.stderr.write(`${oneLine(taskLabel(ref))} was skipped: ${reasonOf(task)}\n`);
    return exitCodes.passed;
  }
  const interrupts = trapInterrupts();
  const follow = options.follow && !isFinished(run);
  try {
    if (follow) await untilStarted(client, run.id, ref, interrupts.signal);
    const { signal } = interrupts;
    const { service } = options;
    const output =
      service === undefined
        ? client.output({ run: run.id, ...ref, follow, signal })
        : serviceOutput(client, task?.attempts ?? [], {
            run: run.id,
            ref,
            service,
            follow,
            signal,
          });
    if (options.json || process.stdout.isTTY) await printLines(output, ref, options);
    // To a file or a program: the bytes as they are.
    else for await (const chunk of output) await write(chunk);
    return exitCodes.passed;
  } catch (error) {
    if (interrupts.signal.aborted) return exitCodes.cancelled;
    throw error;
  } finally {
    interrupts.stop();
  }
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

async function untilStarted(client: BossClient, id: number, ref: TaskRef, signal: AbortSignal) {
  for await (const { event } of client.events(id, { signal })) {
    const mine = "task" in event && event.stage === ref.stage && event.task === ref.task;
    if (mine && (event.type === "attempt-started" || event.type === "task-skipped")) return;
  }
}

async function printLines(
  output: AsyncIterable<Uint8Array>,
  { stage, task }: TaskRef,
  { json, task: named }: LogsOptions,
): Promise<void> {
  const style = styleOf(process.stdout);
  const rule = named === undefined ? `  ${style.dim("│")} ` : "";
  for await (const line of eachLine(output)) {
    const text = json
      ? JSON.stringify({ type: "output", stage, task, line })
      : `${rule}${harmlessLine(line, { colour: style.colour })}`;
    await write(`${text}\n`);
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
