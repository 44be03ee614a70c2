// What came of a build, of an image or of files.

/** Images that workers have built are called this, with what they are made of as their tag. */
export const builtImages = "bettertest-image";

/** The run that made it. Its number alone would not do: each boss counts from 1. */
export interface BuildOrigin {
  readonly run: number;
  /** When that run was asked for. */
  readonly at: number;
  /** "Stage.task" */
  readonly task: string;
}

export type BuildResult =
  | (MadeBefore & {
      readonly kind: "made";
      /** By which a worker finds it again. */
      readonly image: string;
    })
  | (MadeBefore & {
      readonly kind: "files";
      /** By which this run finds them again, made of their names and contents; absent: there are none. */
      readonly files?: string;
    })
  /** The Dockerfile or what it reads is to blame. */
  | {
      readonly kind: "failed";
      /** "2/3: RUN make"; null: it had not come to one. */
      readonly step: string | null;
      readonly message: string;
    };

interface MadeBefore {
  /** It was there already: nothing that it is made of has changed. */
  readonly cached: boolean;
  readonly madeAt: number;
  /** Null: a run that is not of this boss, or not known any more. */
  readonly by: BuildOrigin | null;
}

/** "at step 2/3: RUN make (why)"; undefined where nothing failed. */
export function describeUnbuilt(result: BuildResult | undefined): string | undefined {
  if (result?.kind !== "failed") return undefined;
  const { step, message } = result;
  return step === null ? `(${message})` : `at step ${step} (${message})`;
}

/** Of images and files that were all there already: "cached, made by run 12". */
export function describeCached(results: readonly BuildResult[]): string {
  const origins = results.flatMap((result) => (result.kind === "failed" ? [] : originOf(result)));
  return `cached, made ${[...new Set(origins)].join(" and ")}`;
}

/** The one run that has made all of these; null: several, or none that is known here. */
export function madeByRun(results: readonly BuildResult[]): number | null {
  const runs = new Set(
    results.map((result) => (result.kind !== "failed" && result.by?.run) || null),
  );
  const [run = null, ...more] = runs;
  return more.length > 0 ? null : run;
}

function originOf({ by, madeAt }: MadeBefore): string {
  return by ? `by run ${by.run}` : moment(madeAt);
}

/** To the minute. */
function moment(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
