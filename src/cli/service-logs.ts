// `bettertest logs RUN Stage.task --service db`: what ran beside a task's commands has printed.

import { type TaskRef, taskLabel } from "../model/pipeline.js";
import type { AttemptState } from "../model/run.js";
import type { BossClient } from "../wire/boss-client.js";
import { type CliError, usageError } from "./cli-error.js";

export interface ServiceLogs {
  readonly run: number;
  readonly ref: TaskRef;
  readonly service: string;
  readonly signal: AbortSignal;
}

/** Of the last attempt; call after call, where several had such a service. */
export async function* serviceOutput(
  client: BossClient,
  attempts: readonly AttemptState[],
  { run, ref, service, ...how }: ServiceLogs,
): AsyncGenerator<Uint8Array> {
  const attempt = attempts.length;
  const services = Object.entries(attempts.at(-1)?.services ?? {});
  const calls = services.filter(([, list]) => list.some(({ name }) => name === service));
  if (calls.length === 0) throw noService(run, ref, service, attempts);
  for (const [call] of calls) {
    yield* client.serviceOutput({ run, ...ref, attempt, call: Number(call), service, ...how });
  }
}

export function noService(
  run: number,
  ref: TaskRef,
  service: string,
  attempts: readonly AttemptState[] = [],
): CliError {
  const services = Object.values(attempts.at(-1)?.services ?? {}).flat();
  const names = [...new Set(services.map(({ name }) => name))];
  const there = names.length > 0 ? `There is: ${names.join(", ")}` : "It has none at all.";
  return usageError(`${taskLabel(ref)} of run ${run} has no service "${service}"`, there);
}
