// Run events from outside: those of a file that somebody hands in.

import * as z from "zod";
import type { RunEvent } from "../model/events.js";
import { BuildResult } from "./image-build.js";

const at = z.number().int().nonnegative();
const position = z.number().int().positive();
const task = { stage: z.string(), task: z.string() };
const attempt = { ...task, attempt: position };
const call = { ...attempt, call: position };
const fault = z.looseObject({
  message: z.string(),
  hint: z.string().optional(),
  origin: z.literal("pipedef").optional(),
});
const failure = z.discriminatedUnion("kind", [
  z.looseObject({ kind: z.literal("exit"), command: z.string(), exitCode: z.number() }),
  z.looseObject({ kind: z.literal("timeout"), command: z.string(), afterMs: z.number() }),
  z.looseObject({
    kind: z.literal("out-of-memory"),
    command: z.string(),
    limitBytes: z.number().nullable(),
  }),
  z.looseObject({ kind: z.literal("thrown"), message: z.string() }),
]);
const end = z.discriminatedUnion("status", [
  z.looseObject({ status: z.literal("passed") }),
  z.looseObject({ status: z.literal("failed"), failure }),
  z.looseObject({ status: z.literal("errored"), fault }),
  z.looseObject({ status: z.literal("cancelled") }),
]);
const output = z.looseObject({
  bytes: z.number().int().nonnegative(),
  missing: z.looseObject({ bytes: z.number(), because: z.string() }).optional(),
});
const count = z.number().int().nonnegative();
export const TestInEvent = z.looseObject({
  suite: z.string(),
  name: z.string(),
  verdict: z.enum(["passed", "failed", "skipped"]),
  ms: z.number().optional(),
  file: z.string().optional(),
  line: z.number().optional(),
  message: z.string().optional(),
});
const files = z.looseObject({
  tests: z
    .looseObject({
      passed: count,
      failed: count,
      skipped: count,
      failures: z.array(TestInEvent),
      framework: z.enum(["pytest", "node", "jest", "vitest", "go", "surefire"]).optional(),
    })
    .optional(),
  artifacts: z.looseObject({ files: count, bytes: count }).optional(),
  notes: z.array(z.string()),
});
const outcome = z.looseObject({
  kind: z.enum(["exited", "timed-out", "out-of-memory", "cancelled", "faulted"]),
  build: BuildResult.optional(),
});
const kept = z.union([
  z.looseObject({ worker: z.string(), execution: z.string(), id: z.string(), until: z.number() }),
  z.looseObject({ problem: z.string() }),
]);
const tree = z.string().regex(/^[0-9a-f]{64}$/);
const source = z.discriminatedUnion("kind", [
  z.looseObject({
    kind: z.literal("workspace"),
    commit: z.string().nullable(),
    branch: z.string().optional(),
    dirty: z.boolean().optional(),
    tree,
    files: z.number().int().nonnegative(),
  }),
  z.looseObject({
    kind: z.literal("git"),
    url: z.string(),
    ref: z.string(),
    commit: z.string(),
    tree,
  }),
]);
const pipeline = z.looseObject({
  warnings: z.array(z.string()),
  stages: z.array(
    z.looseObject({
      name: z.string(),
      always: z.boolean(),
      tasks: z.array(
        z.looseObject({
          name: z.string(),
          location: z.looseObject({ file: z.string(), line: z.number() }).optional(),
          retries: z.number().optional(),
        }),
      ),
    }),
  ),
});

/** A record, so that a new kind of event cannot be forgotten here. */
const fields: Record<RunEvent["type"], z.ZodRawShape> = {
  "run-created": {
    pipelineName: z.string(),
    pipedef: z.string(),
    only: z.array(z.looseObject(task)).optional(),
    keepGoing: z.boolean(),
    keepFailedMs: z.number().optional(),
    trigger: z.string(),
    sources: z.array(source).optional(),
    again: z.looseObject({ run: z.number(), at: z.number() }).optional(),
  },
  "run-loaded": { pipeline },
  "run-source": { source },
  "stage-started": { stage: z.string() },
  "task-queued": task,
  "task-skipped": { ...task, reason: z.string() },
  "attempt-started": attempt,
  "call-sent": {
    ...call,
    worker: z.string(),
    execution: z.string(),
    any: z.literal(true).optional(),
    digest: z.string(),
    printedBytes: z.number().int().nonnegative(),
    services: z.array(z.looseObject({ name: z.string(), image: z.string() })).optional(),
  },
  "call-started": {
    ...call,
    command: z.string(),
    image: z.string(),
    worker: z.string(),
    sandbox: z.string(),
  },
  "call-files": { ...call, files },
  "call-finished": {
    ...call,
    outcome,
    durationMs: z.number().nonnegative().optional(),
    kept: kept.optional(),
  },
  "attempt-finished": {
    ...attempt,
    end,
    retried: z.literal(true).optional(),
    byBoss: z.literal(true).optional(),
    output: output.optional(),
  },
  "stage-finished": { stage: z.string() },
  "run-resumed": {},
  "cancel-requested": { by: z.string() },
  "pin-changed": { pinned: z.boolean(), by: z.string() },
  "run-finished": {
    verdict: z.enum(["passed", "failed", "errored", "cancelled"]),
    fault: fault.optional(),
  },
};

const schemas = new Map<string, z.ZodType>(
  Object.entries(fields).map(([type, shape]) => [type, z.looseObject({ at, ...shape })]),
);

/** Null where it is none, or not as it must be. Fields that are not known here are kept. */
export function parseRunEvent(value: unknown): RunEvent | null {
  const type = z.looseObject({ type: z.string() }).safeParse(value).data?.type ?? "";
  const parsed = schemas.get(type)?.safeParse(value);
  // What was checked by the table above is what the type says.
  return parsed?.success ? (parsed.data as RunEvent) : null;
}
