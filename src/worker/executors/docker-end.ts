// How a container has ended, as far as that can be believed.

import { within } from "../../lib/or-else.js";
import { engineWords, statusOf } from "./docker-errors.js";
import type { ContainerNews } from "./docker-link.js";
import type { EngineApi } from "./engine/api.js";
import { ExecutorFault } from "./executor.js";

/** From the end of a command to the engine's word of it; it comes at about the same time. */
const newsMustComeWithinMs = 30_000;
/** The output of a dead container ends as soon as it is read; where it does not, the engine is in trouble. */
const outputMustEndWithinMs = 60_000;

export function endIsTold(news: ContainerNews): Promise<void> {
  return toldSoon(news.died);
}

function toldSoon(word: Promise<void>): Promise<void> {
  return within(newsMustComeWithinMs, word, () => {
    throw new Error("the engine did not tell of its end");
  });
}

/** Then the end of a shell says nothing of it. An engine that goes away tells nothing any more. */
export async function wasEndedFromOutside(news: ContainerNews): Promise<boolean> {
  const ended = news.died.then(() => news.signals.length > 0);
  return within(newsMustComeWithinMs, ended, () => true).catch(() => true);
}

/** By the engine, in a time in which one that lives does. */
export function isAnswered(question: Promise<unknown>): Promise<boolean> {
  const answered = question.then(() => true);
  return within(newsMustComeWithinMs, answered, () => false).catch(() => false);
}

/** Rejects also where the container has died, and its output does not end. */
export async function orDeath<T>(ending: Promise<T>, news: ContainerNews, id: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let over = false;
  const late = new Promise<never>((_, reject) => {
    void news.died.then(() => {
      const words = "the end of its output did not come";
      if (!over) timer = setTimeout(reject, outputMustEndWithinMs, new Error(words));
    });
  });
  try {
    return await Promise.race([ending, late]);
  } catch (error) {
    throw containerFault("lost output of", id, error);
  } finally {
    over = true;
    clearTimeout(timer);
  }
}

/**
 * An engine that is told to stop ends its containers, and so does a person with `docker stop`. None of that is
 * how the command would have ended.
 */
export function refuseMadeUpEnd({ signals }: ContainerNews, id: string) {
  if (signals.length === 0) return;
  throw new ExecutorFault(`container ${id} was ended from outside (signal ${signals.join(", ")})`, {
    hint: "Was the Docker engine stopped, or the container by hand?",
    lost: true,
  });
}

export interface EndOptions {
  /** Its shell was told to end: no deadline is left that would end this otherwise. */
  readonly isDue: boolean;
  /** Called as soon as it is certain that it has. */
  readonly ended: () => void;
}

/**
 * The attach stream also ends when the engine dies, as if the command had ended, so its end proves
 * nothing: the exit is believed only when the engine says so twice, by wait and by inspect.
 */
export async function waitForEnd(api: EngineApi, container: string, { isDue, ended }: EndOptions) {
  try {
    const waiting = api.wait(container);
    await (isDue ? toldSoon(waiting) : waiting);
    ended();
    const { Running, ExitCode, OOMKilled } = await api.stateOf(container);
    if (Running) throw new Error("it says both that the command has ended and that it runs");
    return { exitCode: ExitCode, outOfMemory: OOMKilled };
  } catch (error) {
    throw containerFault("lost", container, error);
  }
}

export function containerFault(what: string, container: string, error: unknown): ExecutorFault {
  return new ExecutorFault(`${what} container ${container.slice(0, 12)}: ${engineWords(error)}`, {
    hint: "is the Docker engine well?",
    // 404: somebody has removed it.
    lost: [null, 404].includes(statusOf(error)),
  });
}
