// Where the sandboxes of red commands are: runs remember them, workers say which ones are still there.

import type { KeptSandboxCall } from "../../model/events.js";
import type { TaskRef } from "../../model/pipeline.js";
import { eachTask, findTask, isFinished, type Run } from "../../model/run.js";
import type { KeptView } from "../../wire/boss.js";
import { NotFound } from "../request.js";
import type { Workers } from "../workers.js";

export interface KeptPlace {
  readonly attempt?: number | undefined;
  /** Which of its commands; default: the last one whose sandbox was kept. */
  readonly call?: number | undefined;
}

/** Throws NotFound with the reason. */
export function keptCallOf(run: Run, ref: TaskRef, { attempt, call }: KeptPlace): KeptSandboxCall {
  const name = `${ref.stage}.${ref.task} of run ${run.id}`;
  const task = findTask(run, ref);
  if (!task) throw new NotFound(`run ${run.id} has no task ${ref.stage}.${ref.task}`);
  if (attempt !== undefined && attempt > task.attempts.length) {
    const many = task.attempts.length;
    throw new NotFound(
      `${name} has no attempt ${attempt}: ${many === 1 ? "there was one" : `there were ${many}`}`,
    );
  }
  const candidates = task.attempts
    .filter((_, index) => attempt === undefined || index + 1 === attempt)
    .flatMap(({ kept = [] }) => kept)
    .filter((one) => call === undefined || one.call === call);
  const found = candidates.findLast((one) => "execution" in one) ?? candidates.at(-1);
  if (found && "execution" in found) return found;
  if (found) throw new NotFound(`the sandbox of ${name} was not kept: ${found.problem}`);
  const why =
    task.status === "passed"
      ? "it passed"
      : !isFinished(run) && task.attempts.every(({ finishedAt }) => finishedAt === null)
        ? "it has not ended"
        : "the run was started without --keep-failed, or no command of it was red";
  throw new NotFound(`no sandbox of ${name} was kept: ${why}`);
}

/** Those that their workers still have, as far as they can be asked; newest runs first. */
export function listKept(runs: Iterable<Run>, workers: Pick<Workers, "views">): KeptView[] {
  const until = new Map<string, number | null>();
  for (const { info, status } of workers.views()) {
    if (status !== "connected") continue;
    for (const mark of info?.kept ?? []) until.set(mark.id, mark.until);
  }
  if (until.size === 0) return [];
  const found: KeptView[] = [];
  for (const run of runs) {
    for (const { ref, task } of eachTask(run)) {
      for (const [index, { kept = [], calls }] of task.attempts.entries()) {
        for (const one of kept) {
          if (!("id" in one) || !until.has(one.id)) continue;
          const started = calls.find(({ call }) => call === one.call);
          found.push({
            run: run.id,
            ...ref,
            attempt: index + 1,
            call: one.call,
            until: until.get(one.id) ?? null,
            worker: one.worker,
            ...(started && { image: started.image, command: started.command }),
          });
        }
      }
    }
    if (found.length >= until.size) break;
  }
  return found;
}
