// What `import { ... } from "bettertest"` gives to a pipedef. The declarations of this file travel alone
// into repos that have no node_modules, so none may need a type from elsewhere.

import { describeExit } from "../src/model/failure.js";
import { describeUnbuilt } from "../src/model/image-build.js";
import { checkedHashFiles } from "./cache.js";
import { builtFiles, filesBuildRequest } from "./files-build.js";
import { findFiles } from "./find-files.js";
import type { CallResult } from "./host/host.js";
import { buildRequest, builtImage } from "./image.js";
import { commandRequest } from "./run-options.js";
import { checkedServices } from "./services.js";
import { checkedSource } from "./source.js";
import {
  commandOutcomes,
  type FunctionalStage,
  isRetryCount,
  registration,
  retryCounts,
  taskContext,
} from "./task-context.js";

/**
 * A stage as a class: every static or instance method whose name starts with `task_` is a task, and so is each
 * `build_` one that takes no argument. The tasks of a stage run in parallel, the stages in the order of the
 * source. `static always = true` makes a stage that runs also after a red one. `static retries = 2` tries its red tasks again, up to twice;
 * `static retries = { task_e2e: 2 }` just that one. `static services = { db: { image: "postgres" } }` is what each
 * command of its tasks has beside it, unless `run` says otherwise.
 */
export abstract class Stage {}

/** A task passes unless it throws or what it returns rejects. */
export type TaskFunction = () => unknown;

export interface StageOptions {
  /** Runs also after a red stage, for instance to clean up. */
  readonly always?: boolean;
  /** For every command of its tasks, unless that has its own. Each command gets fresh ones. */
  readonly services?: Services;
}

export interface TaskOptions {
  /** How often it is tried again after a red attempt. One that then passes is shown as flaky. */
  readonly retries?: number;
}

export interface StageHandle {
  readonly name: string;
  /** Adds one more task; returns the stage again. */
  task(name: string, run: TaskFunction, options?: TaskOptions): StageHandle;
}

/** A stage as a call, so that loops can make its tasks. */
export function stage(
  name: string,
  tasks: Readonly<Record<string, TaskFunction>> = {},
  options: StageOptions = {},
): StageHandle {
  requireName("stage", name);
  const always = options.always ?? false;
  if (typeof always !== "boolean")
    throw new TypeError(`stage "${name}": always must be true or false`);
  const services = options.services && checkedServices(`stage "${name}"`, options.services);
  const calledAt = callerOf(stage);
  const made: FunctionalStage = {
    name,
    always,
    tasks: [],
    calledAt,
    ...(services && { services }),
  };
  const handle: StageHandle = {
    name,
    task(taskName, run, { retries = 0 } = {}) {
      requireName("task", taskName);
      if (typeof run !== "function") {
        throw new TypeError(
          `task "${taskName}" of stage "${name}" must be a function, not ${typeof run}`,
        );
      }
      if (!isRetryCount(retries)) {
        throw new TypeError(
          `task "${taskName}" of stage "${name}": retries must be ${retryCounts}`,
        );
      }
      if (registration()?.sealed) {
        throw new Error(`task "${taskName}" comes too late: the pipedef is loaded already`);
      }
      made.tasks.push({ name: taskName, run, retries, calledAt: callerOf(handle.task) });
      return handle;
    },
  };
  const registered = registration();
  if (registered?.sealed) {
    throw new Error(`stage "${name}" comes too late: the pipedef is loaded already`);
  }
  registered?.stages.push(made);
  for (const [taskName, run] of Object.entries(tasks)) handle.task(taskName, run);
  return handle;
}

export interface RunOptions {
  /** Environment of the command, beside what its image sets. */
  readonly env?: Readonly<Record<string, string>>;
  /** Names of secrets from the boss's --secrets-file, which the command gets as environment. */
  readonly secrets?: readonly string[];
  /** Absolute path inside the sandbox. */
  readonly workdir?: string;
  /** "name", "uid" or "uid:gid". */
  readonly user?: string;
  /** A number counts seconds; or "500ms", "90s", "5m", "1h". */
  readonly timeout?: number | string;
  readonly cpus?: number;
  /** A number counts bytes; or "512m", "2g". */
  readonly memory?: number | string;
  /** What it may write, where the worker's engine can limit that; in the same form. */
  readonly disk?: number | string;
  /** Processes and threads at a time. */
  readonly pids?: number;
  /** `false` cuts the sandbox off from every network. */
  readonly network?: boolean;
  /** The code under test, which the command starts in: workspace(), git({ url, ref }), what build(...) gave, or none. */
  readonly source?: Source;
  /**
   * Files with test results (JUnit XML or TAP) that the command writes: a path or a pattern, or a list of them,
   * from the folder that it starts in. Tests that fail there are named, and make the task red.
   */
  readonly results?: string | readonly string[];
  /** Files to keep with the run, in the same form: ["dist/**", "report.xml"]. */
  readonly artifacts?: string | readonly string[];
  /** Folders that the worker keeps for later commands, such as installed dependencies. */
  readonly cache?: Cache | readonly Cache[];
  /**
   * Fresh ones for this command alone, which reaches them by their names:
   * { db: { image: "postgres", env: { POSTGRES_PASSWORD: "x" }, ready: "pg_isready" } }. Replaces those of the stage.
   */
  readonly services?: Services;
  /** `false` returns the result of a command that failed, where otherwise CommandFailed is thrown. */
  readonly check?: boolean;
}

/**
 * The command finds its own copy of the folders as they were left by the one that has saved them under this key. Where
 * there is none, what it leaves is saved when it has passed. It must be able to do without.
 */
export interface Cache {
  /** Names what is in it: `hashFiles("package-lock.json")`, or a text around that. */
  readonly key: string;
  /** Folders: absolute, or from the folder that the command starts in. */
  readonly paths: string | readonly string[];
  /** Beginnings of keys: the latest cache with such a key will do where the key itself has none. */
  readonly restoreKeys?: string | readonly string[];
}

/**
 * Stands, in the key of a cache, for the hash of the files that match: those that the command tests, or those of the
 * working tree. It is found out where the code under test is known, so the text itself is always the same.
 */
export function hashFiles(...patterns: string[]): string {
  return checkedHashFiles(patterns);
}

/** By name. In place of a service the name of its image will do. */
export type Services = Readonly<Record<string, string | BuiltImage | Service>>;

export interface Service {
  readonly image: string | BuiltImage;
  /** In place of the image's own command, which its entrypoint is given: a text of words, or a list of them. */
  readonly command?: string | readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Names of secrets from the boss's --secrets-file, which it gets as environment. */
  readonly secrets?: readonly string[];
  /** "name", "uid" or "uid:gid". */
  readonly user?: string;
  readonly cpus?: number;
  /** A number counts bytes; or "512m", "2g". */
  readonly memory?: number | string;
  readonly disk?: number | string;
  /** Processes and threads at a time. */
  readonly pids?: number;
  /**
   * A command that is run inside it until it succeeds, or a port that something in it has to listen on. Absent: its
   * image's health check; where that has none, it is ready as soon as it is started.
   */
  readonly ready?: string | number | { readonly port: number };
  /** How long that may take: seconds, or "90s", "5m"; a minute unless it is said. */
  readonly timeout?: number | string;
}

export interface CommandResult {
  /** Ended by itself with exit code 0, and no test failed in its results files. */
  readonly ok: boolean;
  /** How the command ended. */
  readonly reason: "exit" | "timeout" | "out-of-memory";
  /** Null where the command did not end by itself. */
  readonly exitCode: number | null;
  /** Tests that failed in its results files. */
  readonly failedTests: number;
  readonly durationMs: number;
  /** The end of what it printed, at most 1 MiB, as text. */
  readonly output: string;
  /** How much it printed in all. */
  readonly outputBytes: number;
}

/** A command that ended with another exit code than 0, ran out of time or out of memory: a red test. */
export class CommandFailed extends Error {
  override readonly name = "CommandFailed";
  readonly command: string;
  readonly result: CommandResult;

  constructor(message: string, command: string, result: CommandResult) {
    super(message);
    this.command = command;
    this.result = result;
  }

  get reason(): "exit" | "timeout" | "out-of-memory" {
    return this.result.reason;
  }

  get exitCode(): number | null {
    return this.result.exitCode;
  }
}

/** The machinery failed (worker gone, image missing, ...). Says nothing about the code under test. */
export class InfrastructureError extends Error {
  override readonly name = "InfrastructureError";
  /** What to try. */
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

export interface ImageOptions {
  /** The folder whose files it can copy, from the root of the source: "." unless it is said. */
  readonly context?: string;
  /** From the root of the source: "Dockerfile" of the context unless it is said. */
  readonly dockerfile?: string;
  /** A stage of the Dockerfile; the last one unless it is said. */
  readonly target?: string;
  /** Build arguments. They can be read in the image: no place for secrets. */
  readonly args?: Readonly<Record<string, string>>;
  /** Where context and Dockerfile are; that of `defaults`, or else workspace(). */
  readonly source?: Source;
  /** URL of the worker that is to build it now. Absent: one of the boss's own. */
  readonly worker?: string;
  /** A number counts seconds; or "500ms", "90s", "5m", "1h". */
  readonly timeout?: number | string;
}

/** Stands for an image in `run(...)`, on whichever worker: one that does not have it builds it first. */
export interface BuiltImage {
  /** By which the workers know it. */
  readonly name: string;
  /** It was there already. */
  readonly cached: boolean;
}

/**
 * Builds an image of the code under test, unless a worker has it already: nothing that the build reads has changed.
 * Its progress is in the task's output. Throws CommandFailed where the Dockerfile is to blame.
 */
export async function image(options: ImageOptions = {}): Promise<BuiltImage> {
  const { worker, request, build } = buildRequest([options]);
  const context = taskContext.getStore();
  if (!context) {
    throw new Error(
      "image(...) was called outside a task: loading a pipedef builds nothing. " +
        "Call it inside a task_ method or a function given to stage(...).",
    );
  }
  const calledAt = callerOf(image);
  const answer = await context.call({ worker, request });
  commandResult(answer, request.command, { check: true, calledAt });
  const { outcome } = answer;
  const made = outcome.kind === "exited" ? outcome.build : undefined;
  if (made?.kind !== "made")
    throw new InfrastructureError(
      "the worker did not say what it has built",
      "Is it older than its boss?",
    );
  return builtImage({ name: made.image, cached: made.cached }, build);
}

/**
 * Runs `sh -c COMMAND` in a fresh sandbox of the image, on the given worker or on one of the boss's own.
 * What it prints is in the task's output. Resolves when it has ended with exit code 0; throws CommandFailed
 * otherwise, unless `check` is false.
 */
export function run(
  worker: string,
  image: string | BuiltImage,
  command: string,
  options?: RunOptions,
): Promise<CommandResult>;
export function run(
  image: string | BuiltImage,
  command: string,
  options?: RunOptions,
): Promise<CommandResult>;
export function run(...given: unknown[]): Promise<CommandResult> {
  const { worker, request, check } = commandRequest(given);
  const context = taskContext.getStore();
  if (!context) {
    throw new Error(
      `run(${JSON.stringify(request.command)}) was called outside a task: loading a pipedef runs no command. ` +
        "Call it inside a task_ method or a function given to stage(...).",
    );
  }
  const calledAt = callerOf(run);
  return context
    .call({ worker, request })
    .then((answer) => commandResult(answer, request.command, { check, calledAt }));
}

export interface BuildOptions extends Omit<RunOptions, "results" | "services" | "check"> {
  /** The files that it is for: a path or a pattern, or a list of them, from the folder that it starts in. */
  readonly artifacts: string | readonly string[];
  /**
   * Files of its source, in the same form from the root of that: the command sees these and no others, and an edit of
   * others builds nothing anew. All of them unless it is said.
   */
  readonly reads?: string | readonly string[];
}

/** Stands for files that were built, as a source, in the same run. */
export interface BuiltFiles extends ArtifactsOf {
  /** They were there already. */
  readonly cached: boolean;
}

/**
 * Runs `sh -c COMMAND` as `run` does, for the files that it leaves, unless the worker has them already: nothing that
 * the command can see has changed since. Gives what stands for them as a source. Throws CommandFailed where the command
 * fails.
 */
export function build(
  worker: string,
  image: string | BuiltImage,
  command: string,
  options: BuildOptions,
): Promise<BuiltFiles>;
export function build(
  image: string | BuiltImage,
  command: string,
  options: BuildOptions,
): Promise<BuiltFiles>;
export async function build(...given: unknown[]): Promise<BuiltFiles> {
  const call = filesBuildRequest(given);
  const { command, artifacts: asked = [] } = call.request;
  const context = taskContext.getStore();
  if (!context) {
    throw new Error(
      `build(${JSON.stringify(command)}) was called outside a task: loading a pipedef builds nothing. ` +
        "Call it inside a task_ or build_ method or a function given to stage(...).",
    );
  }
  const calledAt = callerOf(build);
  const answer = await context.call(call);
  commandResult(answer, command, { check: true, calledAt });
  const { outcome } = answer;
  const built = outcome.kind === "exited" ? outcome.build : undefined;
  if (built?.kind !== "files")
    throw new InfrastructureError(
      "the worker did not say what it has built",
      "Is it older than its boss?",
    );
  const { files, cached } = built;
  if (files === undefined)
    throw new InfrastructureError(
      `the command has passed, and left nothing that is kept of ${asked.join(", ")}: ${command}`,
      "artifacts are named from the folder that the command starts in",
    );
  return builtFiles({ files, cached });
}

interface ArtifactsOf {
  readonly kind: "artifacts";
  readonly tasks: readonly (string | { readonly files: string })[];
  readonly over?: "workspace";
  readonly path?: string;
}

/** Made by `workspace()`, `git(...)`, `artifacts(...)`, `build(...)`, or `none`. */
export type Source =
  | { readonly kind: "none" }
  | { readonly kind: "workspace"; readonly path?: string }
  | {
      readonly kind: "git";
      readonly url: string;
      readonly ref: string;
      readonly secret?: string;
      readonly path?: string;
    }
  | ArtifactsOf;

export interface SourcePlacement {
  /** Where the sandbox sees it; "/workspace" unless it is said. */
  readonly path?: string;
}

export interface GitSource extends SourcePlacement {
  /** `https://...`, `ssh://...` or `git@host:path`, as the worker reaches it. */
  readonly url: string;
  /** A branch, a tag, a commit, or any other ref such as "refs/pull/12/head". */
  readonly ref: string;
  /** Name of a secret from the boss's --secrets-file: a token, or "user:password". */
  readonly secret?: string;
}

/** Nothing but what is in the image. */
export const none: Source = { kind: "none" };

/**
 * The repo of the pipedef as it is at the start of the run: changed and new files too, deleted ones not; what git
 * ignores is left out, and what .bettertestignore names. The command starts in it, may write to it, and has it to itself.
 */
export function workspace({ path }: SourcePlacement = {}): Source {
  return checkedSource({ kind: "workspace", ...(path !== undefined && { path }) });
}

export interface ArtifactsSource extends SourcePlacement {
  /** Laid over the working tree: workspace(). Otherwise there is nothing else. */
  readonly over?: Source;
}

/**
 * What tasks of earlier stages have left, by their names: artifacts("Build.compile"); or what build(...) gave. The files
 * lie where they lay in the folder that those commands started in.
 */
export function artifacts(
  from: string | BuiltFiles | readonly (string | BuiltFiles)[],
  { over, path }: ArtifactsSource = {},
): Source {
  if (over !== undefined && over.kind !== "workspace" && over.kind !== "none")
    throw new TypeError("artifacts: over must be workspace()");
  return checkedSource({
    kind: "artifacts",
    tasks: (Array.isArray(from) ? from : [from]).flatMap((one) =>
      typeof one === "string" ? one : one.tasks,
    ),
    ...(over?.kind === "workspace" && { over: "workspace" }),
    ...(path !== undefined && { path }),
  });
}

/** A commit of a repo, which the worker fetches by itself. */
export function git({ url, ref, secret, path }: GitSource): Source {
  return checkedSource({
    kind: "git",
    url,
    ref,
    ...(secret !== undefined && { secret }),
    ...(path !== undefined && { path }),
  });
}

export interface Defaults {
  /** What commands start in that do not say otherwise. */
  readonly source?: Source;
  /** What runs beside them. Each command gets fresh ones. */
  readonly services?: Services;
}

/** For every command of this pipedef, unless its stage's or its own options say otherwise. */
export function defaults({ source, services, ...unknown }: Defaults): void {
  const [name] = Object.keys(unknown);
  if (name !== undefined)
    throw new TypeError(`defaults: there is no option "${name}". There are: source, services`);
  const registered = registration();
  if (registered?.sealed)
    throw new Error("defaults(...) comes too late: the pipedef is loaded already");
  if (registered && source !== undefined) registered.defaults.source = checkedSource(source);
  if (registered && services !== undefined)
    registered.defaults.services = checkedServices("defaults", services);
}

/** Paths of the repo's files that match, sorted, relative to its root. Knows `*`, `**`, `?` and `{a,b}`. */
export function files(glob: string): string[] {
  if (typeof glob !== "string" || glob === "")
    throw new TypeError("files: the pattern must be a text");
  return findFiles(registration()?.root ?? process.cwd(), glob);
}

function commandResult(
  { outcome, durationMs, output, outputBytes }: CallResult,
  command: string,
  { check, calledAt }: { check: boolean; calledAt: Error },
): CommandResult {
  const failedTests = outcome.kind === "exited" ? (outcome.failedTests ?? 0) : 0;
  const ended = { failedTests, durationMs, output: new TextDecoder().decode(output), outputBytes };
  switch (outcome.kind) {
    case "exited": {
      const { exitCode } = outcome;
      const ok = exitCode === 0 && failedTests === 0;
      const build = describeUnbuilt(outcome.build);
      const result = { ok, reason: "exit", exitCode, ...ended } as const;
      if (ok || !check) return result;
      return fail(
        `${describeExit({ exitCode, failedTests: outcome.failedTests, build })}${crowd(outcome)}: ${command}`,
        result,
      );
    }
    case "timed-out": {
      const result = { ok: false, reason: "timeout", exitCode: null, ...ended } as const;
      if (!check) return result;
      return fail(
        `timed out after ${outcome.afterMs / 1000} s${crowd(outcome)}: ${command}`,
        result,
      );
    }
    case "out-of-memory": {
      const result = { ok: false, reason: "out-of-memory", exitCode: null, ...ended } as const;
      if (!check) return result;
      const limit =
        outcome.limitBytes === null ? "" : ` (limit ${outcome.limitBytes / 2 ** 20} MiB)`;
      return fail(`out of memory${limit}: ${command}`, result);
    }
    case "cancelled":
      throw withStack(new InfrastructureError(`cancelled: ${command}`), calledAt);
    case "faulted":
      throw withStack(new InfrastructureError(outcome.message, outcome.hint), calledAt);
    default:
      return outcome satisfies never;
  }

  function fail(message: string, result: CommandResult): never {
    const error = withStack(new CommandFailed(message, command, result), calledAt);
    commandOutcomes.set(error, outcome);
    throw error;
  }
}

function crowd({ processLimit }: { readonly processLimit?: number }): string {
  return processLimit === undefined ? "" : ` (hit the limit of ${processLimit} processes)`;
}

/** An error made after the wait knows nothing of the line that called; the one from before does. */
function withStack<E extends Error>(error: E, calledAt: Error): E {
  const frames = calledAt.stack?.replace(/^.*?\n(?=\s+at )/s, "") ?? "";
  error.stack = `${error.name}: ${error.message}\n${frames}`;
  return error;
}

function callerOf(callee: (...given: never[]) => unknown): Error {
  const here = new Error("called");
  Error.captureStackTrace(here, callee);
  return here;
}

function requireName(what: string, name: unknown): void {
  if (typeof name === "string" && name.trim() !== "" && !/[\0\r\n]/.test(name)) return;
  throw new TypeError(
    `the name of a ${what} must be a text of one line, not ${JSON.stringify(name)}`,
  );
}
