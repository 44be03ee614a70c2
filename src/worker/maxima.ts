// What a worker gives to one command at most. A request that names no limit gets the most there is; one that
// asks for more is refused in words, since a command that got less would fail for a reason nobody sees.

import { formatBytes, formatDuration } from "../lib/units.js";
import { BadRequest } from "../wire/body.js";
import type { ServiceRequest } from "../wire/service.js";
import type { CommandRequest, SandboxShape } from "../wire/worker.js";

export interface Maxima {
  readonly memoryBytes?: number;
  readonly cpus?: number;
  readonly diskBytes?: number;
  readonly pids?: number;
  readonly timeoutMs?: number;
}

/** A fork bomb must not take the machine with it; no test suite is known to need more. */
export const defaultMaxPids = 4096;

const fields = [
  { field: "memoryBytes", flag: "--max-memory", words: formatBytes },
  { field: "diskBytes", flag: "--max-disk", words: formatBytes },
  { field: "cpus", flag: "--max-cpus", words: String },
  { field: "pids", flag: "--max-pids", words: String },
  { field: "timeoutMs", flag: "--max-timeout", words: formatDuration },
] as const;

export function withinMaxima(request: CommandRequest, maxima: Maxima): CommandRequest {
  refuseBeyond(request, maxima);
  if (!request.services) return { ...maxima, ...request };
  // Each of its services may have as much as a command.
  const services = Object.entries(request.services).map(([name, service]) => {
    refuseBeyond(service, maxima, `services.${name}.`);
    return [name, shapeWithinMaxima(service, maxima)] as const;
  });
  return { ...maxima, ...request, services: Object.fromEntries(services) };
}

function refuseBeyond(
  asked: { readonly [Field in keyof Maxima]?: number | undefined },
  maxima: Maxima,
  prefix = "",
): void {
  for (const { field, flag, words } of fields) {
    const most = maxima[field];
    const wanted = asked[field];
    if (most === undefined || wanted === undefined || wanted <= most) continue;
    const message =
      `${prefix}${field}: ${words(wanted)} is more than this worker gives (${flag} ${words(most)}); ` +
      "ask for less, or raise it there";
    throw new BadRequest(message, { status: 422, field: prefix + field });
  }
}

/** The shape that a command of this one will have. */
export function shapeWithinMaxima<Shape extends SandboxShape | ServiceRequest>(
  shape: Shape,
  { timeoutMs: _, ...maxima }: Maxima,
): Shape {
  return { ...maxima, ...shape };
}
