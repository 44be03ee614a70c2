// `bettertest logs -f RUN Stage.task`: what a task prints while it runs, attempt after attempt, until it has ended.

import type { AttemptRef, RunEvent } from "../model/events.js";
import type { TaskRef } from "../model/pipeline.js";
import type { BossClient } from "../wire/boss-client.js";
import { BossRefused } from "../wire/boss-client.js";

export interface FollowedTask {
  readonly run: number;
  readonly ref: TaskRef;
  /** From this attempt on. */
  readonly first: number;
  readonly signal: AbortSignal;
}

export async function* followTask(
  client: BossClient,
  followed: FollowedTask,
): AsyncGenerator<Uint8Array> {
  const { run, signal } = followed;
  let attempt: AttemptRef | null = null;
  let offset = 0;
  async function* more(follow: boolean) {
    if (!attempt) return;
    for await (const chunk of client.output({ run, ...attempt, offset, follow, signal })) {
      offset += chunk.length;
      yield chunk;
    }
  }
  for await (const event of eventsOf(client, followed)) {
    if (event.type === "attempt-started") {
      attempt = { stage: event.stage, task: event.task, attempt: event.attempt };
      offset = 0;
      yield* more(true);
    }
    // What an attempt prints ends for its readers when the boss stops, and goes on when it is back.
    if (event.type === "run-resumed") yield* more(true);
    if (event.type === "attempt-finished" && (event.output?.bytes ?? 0) > offset)
      yield* more(false);
  }
}

/** Of the same, what this service has printed, call after call. False in the end: there never was one. */
export async function* followService(
  client: BossClient,
  followed: FollowedTask & { readonly service: string },
): AsyncGenerator<Uint8Array, boolean> {
  const { run, service, signal } = followed;
  /** How much has come of it, by the call. */
  const calls = new Map<string, number>();
  for await (const event of eventsOf(client, followed)) {
    if (!("call" in event)) continue;
    const { stage, task, attempt, call } = event;
    const key = `${attempt} ${call}`;
    const sent = event.type === "call-sent" && event.services?.some(({ name }) => name === service);
    if (sent && !calls.has(key)) calls.set(key, 0);
    const isTime = event.type === "call-started" || event.type === "call-finished";
    let offset = calls.get(key);
    if (!isTime || offset === undefined) continue;
    const follow = event.type === "call-started";
    const ref = { run, stage, task, attempt, call, service };
    try {
      for await (const chunk of client.serviceOutput({ ...ref, offset, follow, signal })) {
        offset += chunk.length;
        calls.set(key, offset);
        yield chunk;
      }
    } catch (error) {
      // It has printed nothing yet, or nothing at all.
      if (!(error instanceof BossRefused && error.status === 404)) throw error;
    }
  }
  return calls.size > 0;
}

/** Those of the task, from its attempt `first` on to its end, and the boss's return. */
async function* eventsOf(
  client: BossClient,
  { run, ref, first, signal }: FollowedTask,
): AsyncGenerator<RunEvent> {
  for await (const { event } of client.events(run, { signal })) {
    if (event.type === "run-resumed") yield event;
    if (!("task" in event) || event.stage !== ref.stage || event.task !== ref.task) continue;
    if (event.type === "task-skipped") return;
    if (!("attempt" in event) || event.attempt < first) continue;
    yield event;
    if (event.type === "attempt-finished" && !event.retried) return;
  }
}
