// The contract between whoever wants a command run (boss, Python, curl) and a worker.
//
//   GET    /health                     200 "ok\n"
//   GET    /healthz                    { live, ready, reasons }; 503 while not ready
//   GET    /metrics                    OpenMetrics
//   GET    /info                       WorkerInfo
//   GET    /events                     SSE: `info` with a WorkerInfo, now and whenever it changes
//   POST   /run                        CommandRequest -> SSE for old clients: started, log, done | error
//   PUT    /executions/{id}            CommandRequest -> SSE of ExecutionEvents. The caller makes the id,
//                                      so a repeated PUT attaches to the same execution, never starts a second.
//                                      Last-Event-ID: N leaves out the first N events.
//   POST   /executions/{id}/lease      204: the client lives; 404: nothing of that id is here
//   GET    /executions/{id}/output     ?offset=N -> raw bytes from there on, until the end of the output
//   GET    /executions/{id}/services/{name}/output
//                                      ?offset=N -> what a service of it prints, in the same way
//   GET    /executions/{id}/files      ?offset=N -> after `finished`: the files that were asked for, as a pack
//                                      (see file-pack.ts); `finished` says how many bytes that has
//   POST   /expected                   ExpectedSandboxes -> 204: so many commands of these shapes are about to come
//   DELETE /executions/{id}            cancels if it still runs; forgets it and its output
//   DELETE /executions                 ?id=A&id=B: the same of several
//   *      /kept                       sandboxes of red commands that are kept to be entered, see kept.ts
//   *      /trees, /sources            the code under test, see source.ts
//
// Output is bytes, addressed by offset; `finished` says how many there are. Where it is little it may come between the
// events (see workerHeaders.output), so that most commands need no second request.
//
// A client that may lose its connection and come back says so with a lease: the execution, its outcome and
// its output are kept until DELETE, or until the worker has heard no request about it for that long. An open
// stream is no sign of life, since a cut network leaves it open. Without a lease the client must stay.

import * as z from "zod";
import { AskedCache, CommandCaches } from "./cache.js";
import { AskedFilesBuild, FilesBuild } from "./files-build.js";
import { AskedBuild, BuildResult, ImageBuild } from "./image-build.js";
import { issuesInWords } from "./issues.js";
import { KeptMark, keepFailedMs } from "./kept.js";
import { filePatterns, text, variableName } from "./program-text.js";
import { AskedServices, ServiceEnd, Services } from "./service.js";
import { AskedSource, CommandSource } from "./source.js";

export function executionPath(id: string): string {
  return `executions/${id}`;
}

export const workerHeaders = {
  /** On PUT: the lease in milliseconds. */
  lease: "bettertest-lease-ms",
  /** On PUT, "1": attach, and start nothing; 404 where nothing of that id is here. Needs no body. */
  resume: "bettertest-resume",
  /**
   * On PUT: little output is to come between the events, from that byte on, as `output`; as soon as there is more of it,
   * `more-output` is told, and the rest is to be fetched. On the answer: so it will be.
   */
  output: "bettertest-output",
  /** On every answer: another value means that the worker has been started anew and knows nothing. */
  instance: "bettertest-instance",
} as const;

/** Linux starts no program with a longer argument. Refused here, where it is not taken for a red test. */
const longestCommandBytes = 128 * 1024 - 1;

export const CommandRequest = z.strictObject({
  image: text.min(1),
  /** Runs as `sh -c COMMAND`. */
  command: text
    .min(1)
    .refine((command) => new TextEncoder().encode(command).length <= longestCommandBytes, {
      message: `must not be longer than ${longestCommandBytes} bytes: put it in a script`,
    }),
  env: z.record(variableName, text).optional(),
  /** More of the environment, which no log, label or message of the worker may hold. */
  secrets: z.record(variableName, text).optional(),
  workdir: text.startsWith("/").optional(),
  user: text.min(1).optional(),
  timeoutMs: z.number().int().positive().optional(),
  /** Less is rounded to 0 on the way, which engines read as no limit. */
  cpus: z.number().min(0.01).optional(),
  memoryBytes: z.number().int().positive().optional(),
  /** Of what it writes; refused where the engine cannot limit that. */
  diskBytes: z.number().int().positive().optional(),
  /** Processes and threads at a time. */
  pids: z.number().int().positive().optional(),
  network: z.boolean().optional(),
  source: CommandSource.optional(),
  /** The image is made by this, unless the worker has it; `image` is what it is called. */
  build: ImageBuild.optional(),
  /** Files with test results, and files to keep: patterns, from the folder that the command starts in. */
  results: filePatterns.optional(),
  artifacts: filePatterns.optional(),
  /** Its artifacts are what it is for, and may be those that the same command has left before. It has no results. */
  filesBuild: FilesBuild.optional(),
  cache: CommandCaches.optional(),
  /** Fresh ones, for this command alone. */
  services: Services.optional(),
  /** By the names of services: their images are to be made of these. */
  serviceBuilds: z.record(z.string(), ImageBuild).optional(),
  /** Where it ends red its sandbox is kept for so long; absent: as the worker does by itself. 0: it is not. */
  keepFailedMs: keepFailedMs.or(z.literal(0)).optional(),
});
export type CommandRequest = z.infer<typeof CommandRequest>;

/** What a sandbox can be made for before its command is known. */
export const SandboxShape = CommandRequest.pick({
  image: true,
  workdir: true,
  user: true,
  cpus: true,
  memoryBytes: true,
  diskBytes: true,
  pids: true,
  network: true,
}).extend({
  /** Where it sees its source, whichever that will be; absent: it has none. */
  sourcePath: CommandSource.shape.path,
});
export type SandboxShape = z.infer<typeof SandboxShape>;

/** How many commands of a shape are still to come; the latest word counts. */
export const ExpectedSandbox = SandboxShape.extend({ count: z.number().int().min(0) });
export type ExpectedSandbox = z.infer<typeof ExpectedSandbox>;

export const ExpectedSandboxes = z.array(ExpectedSandbox).max(100);

/** As a pipedef asks for it: of secrets it knows the names alone, and of its source where that is to be had. */
export const AskedCommand = CommandRequest.omit({
  secrets: true,
  source: true,
  build: true,
  filesBuild: true,
  cache: true,
  services: true,
  serviceBuilds: true,
  keepFailedMs: true,
}).extend({
  secrets: z.array(variableName).optional(),
  services: AskedServices.optional(),
  source: AskedSource.optional(),
  build: AskedBuild.optional(),
  filesBuild: AskedFilesBuild.optional(),
  cache: z.array(AskedCache).min(1).max(10).optional(),
});
export type AskedCommand = z.infer<typeof AskedCommand>;

/** What a pipedef's own code has asked for: where it asks for what nobody takes, that call alone fails, in words. */
export const AskedByCode = z.unknown().transform((given) => {
  const parsed = AskedCommand.safeParse(given);
  if (parsed.success) return { command: parsed.data, refused: null };
  const words = issuesInWords(parsed.error).map(({ text }) => text);
  return { command: null, refused: `run: ${words.join("; ").slice(0, 500)}` };
});

const processLimit = z.number().int().exactOptional();
const failedTests = z.number().int().positive().exactOptional();

export const Outcome = z.discriminatedUnion("kind", [
  /** `processLimit`: the command wanted more processes than these, and was refused. */
  /** `failedTests`: in its results files, as the boss has read them; the command is red, whatever its exit code. */
  /** `build`: what came of a build, of an image or of files; of a command's image, where it could not be built. */
  z.object({
    kind: z.literal("exited"),
    exitCode: z.number().int(),
    processLimit,
    failedTests,
    build: BuildResult.exactOptional(),
  }),
  z.object({ kind: z.literal("timed-out"), afterMs: z.number(), processLimit }),
  z.object({ kind: z.literal("out-of-memory"), limitBytes: z.number().nullable() }),
  z.object({ kind: z.literal("cancelled") }),
  /** The machinery failed; says nothing about the command. */
  z.object({
    kind: z.literal("faulted"),
    message: z.string(),
    hint: z.string().optional(),
    /** The worker is gone, and with it the command: on another, or later, it may well work. */
    workerLost: z.literal(true).optional(),
    /** It was refused or handed back before it began. */
    notStarted: z.literal(true).optional(),
  }),
]);
export type Outcome = z.infer<typeof Outcome>;

/** What was asked for and found. */
export const CollectedFiles = z.object({
  /** Of the pack. */
  bytes: z.number().int().nonnegative(),
  /** What was not found or left out, a sentence each. */
  notes: z.array(z.string()),
});
export type CollectedFiles = z.infer<typeof CollectedFiles>;

/** The sandbox of a red command is kept, or why not although that was asked for. */
export const KeptNote = z.union([KeptMark, z.object({ problem: z.string() })]);
export type KeptNote = z.infer<typeof KeptNote>;

export const ExecutionEvent = z.discriminatedUnion("type", [
  /** Waits for a slot; `ahead` others are served before. Sent again as it moves up. */
  z.object({ type: z.literal("queued"), ahead: z.number().int() }),
  z.object({ type: z.literal("started"), sandbox: z.string() }),
  z.object({
    type: z.literal("finished"),
    outcome: Outcome,
    outputBytes: z.number().int(),
    /** Where files were asked for and the command has ended by itself or for its time. */
    files: CollectedFiles.exactOptional(),
    services: z.record(z.string(), ServiceEnd).exactOptional(),
    kept: KeptNote.exactOptional(),
  }),
]);
export type ExecutionEvent = z.infer<typeof ExecutionEvent>;

export const WorkerInfo = z.object({
  version: z.string(),
  executor: z.string(),
  /** Whether a command is kept apart from the machine it runs on. */
  isolated: z.boolean(),
  slots: z.number().int().positive(),
  running: z.number().int(),
  queued: z.number().int(),
  /** Sandboxes that wait for a command. */
  ready: z.number().int().default(0),
  /** Why it takes nothing for now, in words: its engine is away, or it was told to stop. */
  problem: z.string().nullable().default(null),
  /** Sandboxes of red commands that can be entered. */
  kept: z.array(KeptMark).default([]),
});
export type WorkerInfo = z.infer<typeof WorkerInfo>;
