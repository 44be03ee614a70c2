// What the boss and a pipedef's home say to each other, the same for a thread and for a child process.
// A message is a small head, and bytes where there are some. The boss parses every head that comes in:
// a child process may send anything.

import * as z from "zod";
import type { Outcome } from "../../../src/wire/worker.js";
import { AskedByCode } from "../../../src/wire/worker.js";

/** From the boss. */
export type ToHome =
  | {
      readonly type: "load";
      readonly pipedef: string;
      readonly root: string;
      /** Files by absolute path, in base64: these count, whatever is on disk. */
      readonly sources?: Readonly<Record<string, string>>;
      readonly env: Readonly<Record<string, string>>;
      readonly cacheFolder?: string;
    }
  /** `id` names this attempt in all later messages. */
  | { readonly type: "run"; readonly id: number; readonly stage: string; readonly task: string }
  | { readonly type: "cancel"; readonly id: number }
  /** Bytes: the end of the command's output. */
  | {
      readonly type: "answer";
      readonly id: number;
      readonly call: number;
      readonly outcome: Outcome;
      readonly durationMs: number;
      readonly outputBytes: number;
    }
  /** Bytes: the code. */
  | { readonly type: "transformed"; readonly id: number; readonly ok: boolean }
  /** Load now what a pipedef may need, though most do not. */
  | { readonly type: "prepare" }
  | { readonly type: "ping" }
  /** End the processes that the pipedef started, then say `ended-children`. */
  | { readonly type: "end-children" };

const text = z.string().max(16_000_000);
const id = z.number().int().nonnegative();

const Place = z.object({
  /** Absolute path. */
  file: text,
  line: z.number().int().positive(),
  column: z.number().int().positive().optional(),
});
export type Place = z.infer<typeof Place>;

const DiscoveredTask = z.object({
  name: text,
  place: Place.optional(),
  retries: z.number().int().positive().optional(),
});
const DiscoveredStage = z.object({
  name: text,
  always: z.boolean(),
  place: Place.optional(),
  tasks: z.array(DiscoveredTask).max(1_000_000),
});
export type DiscoveredStage = z.infer<typeof DiscoveredStage>;

const LoadFailure = z.object({
  kind: z.enum(["import", "threw", "empty", "duplicate", "stalled"]),
  message: text,
  place: Place.optional(),
  stack: text.optional(),
  hint: text.optional(),
  /** Of a file, package or (`name`) export that is not there: where in the file it stands is the boss's to find. */
  missing: z.object({ specifier: text, importer: text, name: text.optional() }).optional(),
});
export type LoadFailure = z.infer<typeof LoadFailure>;

const processLimit = z.number().int().exactOptional();
const failedTests = z.number().int().exactOptional();
const Failure = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("exit"),
    command: text,
    exitCode: z.number().int(),
    failedTests,
    build: z.string().exactOptional(),
    processLimit,
  }),
  z.object({ kind: z.literal("timeout"), command: text, afterMs: z.number(), processLimit }),
  z.object({ kind: z.literal("out-of-memory"), command: text, limitBytes: z.number().nullable() }),
  z.object({ kind: z.literal("thrown"), message: text }),
]);

const Fault = z.object({ message: text, hint: text.optional() });

const End = z.discriminatedUnion("status", [
  z.object({ status: z.literal("passed") }),
  z.object({ status: z.literal("failed"), failure: Failure }),
  z.object({ status: z.literal("errored"), fault: Fault }),
  z.object({ status: z.literal("cancelled") }),
]);

/** To the boss. */
export const FromHome = z.discriminatedUnion("type", [
  z.object({ type: z.literal("ready") }),
  /** A file of the pipedef is about to be read; those it imports follow. */
  z.object({ type: z.literal("file"), path: text }),
  /** The pipedef imports what Node alone may not find or understand. */
  z.object({ type: z.literal("needs-tsx") }),
  /** Bytes: the source. */
  z.object({ type: z.literal("transform"), id, path: text }),
  z.object({
    type: z.literal("loaded"),
    stages: z.array(DiscoveredStage),
    warnings: z.array(text),
  }),
  z.object({ type: z.literal("load-failed"), failure: LoadFailure }),
  /** Bytes: what was printed, by a task or (null) outside of all. */
  z.object({ type: z.literal("output"), task: id.nullable() }),
  z.object({
    type: z.literal("call"),
    id,
    call: z.number().int().positive(),
    worker: text.nullable(),
    request: AskedByCode,
  }),
  z.object({ type: z.literal("ended"), id, end: End }),
  /** The pipedef's code did something that no task can be blamed for: this home is of no more use. */
  z.object({ type: z.literal("broken"), fault: Fault }),
  /** With what the pipedef keeps outside the heap, where no engine limits it. */
  z.object({ type: z.literal("pong"), bufferBytes: z.number().nonnegative() }),
]);
export type FromHome = z.infer<typeof FromHome>;
/** As a home sends it. */
export type ToBoss = z.input<typeof FromHome>;

/** To the home's keeper in the boss, which takes them before anybody else. */
export type ToKeeper =
  /** A process the pipedef started, or one of them that is gone. */
  | { readonly type: "child"; readonly pid: number; readonly alive: boolean }
  | { readonly type: "ended-children" };
