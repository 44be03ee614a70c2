// The contract between the Python host and its interpreter (compat-python/bettertest/_bridge.py), over a
// socket at the interpreter's fd 3. Each message is one line of JSON. A message with `bytes` that comes from
// the interpreter is followed by that many raw bytes.
//
// One interpreter, one run: "load" first, answered by "loading", then "loaded" or "problem". Then any number of "start"s;
// each is answered by "started" (or by "ended", if no process could be made), "exited" when the process of
// the task is gone and "ended" when its output is complete. End of the stream in either direction ends all.

import * as z from "zod";
import { AskedByCode, type Outcome } from "./worker.js";

export type ToInterpreter =
  /** Sources, by absolute path and in base64, count whatever is on disk. */
  | { readonly type: "load"; readonly sources: Readonly<Record<string, string>> }
  | { readonly type: "start"; readonly task: number; readonly stage: string; readonly name: string }
  /** Output that has been dealt with: room for as much more. */
  | { readonly type: "acknowledge"; readonly task: number; readonly bytes: number }
  | {
      readonly type: "result";
      readonly task: number;
      readonly call: number;
      readonly outcome: Outcome;
    }
  | { readonly type: "cancel"; readonly task: number };

const SourceLocation = z.object({
  file: z.string(),
  line: z.number().int(),
  column: z.number().int().exactOptional(),
});

const Pipeline = z.object({
  stages: z.array(
    z.object({
      name: z.string(),
      always: z.boolean(),
      tasks: z.array(
        z.object({
          name: z.string(),
          location: SourceLocation.exactOptional(),
          retries: z.number().int().nonnegative().exactOptional(),
        }),
      ),
    }),
  ),
  warnings: z.array(z.string()),
});

const Problem = z.object({
  kind: z.enum(["syntax", "import", "threw", "empty", "host"]),
  message: z.string(),
  location: SourceLocation.exactOptional(),
  sourceLine: z.string().exactOptional(),
  stack: z.string().exactOptional(),
  hint: z.string().exactOptional(),
});

const processLimit = z.number().int().exactOptional();
const failedTests = z.number().int().exactOptional();
const TaskEnd = z.discriminatedUnion("status", [
  z.object({ status: z.literal("passed") }),
  z.object({
    status: z.literal("failed"),
    failure: z.discriminatedUnion("kind", [
      z.object({
        kind: z.literal("exit"),
        command: z.string(),
        exitCode: z.number().int(),
        failedTests,
        build: z.string().exactOptional(),
        processLimit,
      }),
      z.object({
        kind: z.literal("timeout"),
        command: z.string(),
        afterMs: z.number(),
        processLimit,
      }),
      z.object({
        kind: z.literal("out-of-memory"),
        command: z.string(),
        limitBytes: z.number().nullable(),
      }),
      z.object({ kind: z.literal("thrown"), message: z.string() }),
    ]),
  }),
  z.object({
    status: z.literal("errored"),
    fault: z.object({ message: z.string(), hint: z.string().exactOptional() }),
  }),
]);

const task = z.number().int();
const call = z.number().int();
const bytes = z.number().int().nonnegative();
const files = z.array(z.string());

export const FromInterpreter = z.discriminatedUnion("type", [
  /** From here on it is the pipedef's code that takes time. */
  z.object({ type: z.literal("loading") }),
  z.object({ type: z.literal("loaded"), pipeline: Pipeline, files }),
  z.object({ type: z.literal("problem"), problem: Problem, files }),
  /** Printed outside every task, by a thread that the pipedef started while it loaded. */
  z.object({ type: z.literal("printed"), bytes }),
  z.object({ type: z.literal("started"), task, pid: z.number().int() }),
  z.object({ type: z.literal("output"), task, bytes }),
  /** All that was printed before the call has been sent before it. */
  z.object({
    type: z.literal("call"),
    task,
    call,
    worker: z.string().nullable(),
    request: AskedByCode,
  }),
  /** Whoever waited for the call is gone. */
  z.object({ type: z.literal("abandoned"), task, call }),
  z.object({ type: z.literal("exited"), task }),
  z.object({ type: z.literal("ended"), task, end: TaskEnd }),
]);
export type FromInterpreter = z.infer<typeof FromInterpreter>;
