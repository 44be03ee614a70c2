// Two words that must never be mixed up. A Failure is a red test: the code under test is to blame.
// A Fault is trouble of the machinery (worker gone, image missing, pipedef broken): nobody's test failed.

export type Failure =
  | ({
      readonly kind: "exit";
      readonly command: string;
      readonly exitCode: number;
      /** In its results files. With an exit code of 0 they are what makes it red. */
      readonly failedTests?: number;
      /** Why its image could not be built: "at step 2/3: RUN make (...)". */
      readonly build?: string;
    } & Crowded)
  | ({ readonly kind: "timeout"; readonly command: string; readonly afterMs: number } & Crowded)
  | { readonly kind: "out-of-memory"; readonly command: string; readonly limitBytes: number | null }
  /** The task's own code threw; its stack is in the task's output. */
  | { readonly kind: "thrown"; readonly message: string };

/** Given: the command wanted more processes than these, and was refused. */
interface Crowded {
  readonly processLimit?: number;
}

export interface Fault {
  readonly message: string;
  /** What to try. */
  readonly hint?: string;
  /** "pipedef": its author can mend it. Absent: the machinery. */
  readonly origin?: "pipedef";
}

/** How a task's attempt ended. */
export type TaskEnd =
  | { readonly status: "passed" }
  | { readonly status: "failed"; readonly failure: Failure }
  | { readonly status: "errored"; readonly fault: Fault }
  | { readonly status: "cancelled" };

export type RunVerdict = TaskEnd["status"];

export function describeFailure(failure: Failure): string {
  switch (failure.kind) {
    case "exit":
      return `${describeExit(failure)}${crowd(failure)}: ${failure.command}`;
    case "timeout":
      return `timed out after ${failure.afterMs / 1000} s${crowd(failure)}: ${failure.command}`;
    case "out-of-memory": {
      const limit =
        failure.limitBytes === null ? "" : ` (limit ${failure.limitBytes / 2 ** 20} MiB)`;
      return `out of memory${limit}: ${failure.command}`;
    }
    case "thrown":
      return failure.message;
    default:
      return failure satisfies never;
  }
}

export function describeExit({
  exitCode,
  failedTests,
  build,
}: {
  readonly exitCode: number;
  readonly failedTests?: number | undefined;
  readonly build?: string | undefined;
}): string {
  if (build !== undefined) return `the image could not be built ${build}`;
  if (failedTests === undefined) return `exit code ${exitCode}`;
  const tests = `${failedTests} ${failedTests === 1 ? "test" : "tests"} failed`;
  return exitCode === 0
    ? `${tests}, but the command exited with 0`
    : `${tests}, exit code ${exitCode}`;
}

function crowd({ processLimit }: Crowded): string {
  return processLimit === undefined ? "" : ` (hit the limit of ${processLimit} processes)`;
}

export function describeFault(fault: Fault): string {
  return fault.hint ? `${fault.message}\n${fault.hint}` : fault.message;
}
