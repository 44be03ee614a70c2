// What came of the build of an image.

/** Images that workers have built are called this, with what they are made of as their tag. */
export const builtImages = "bettertest-image";

/** The run that made an image. Its number alone would not do: each boss counts from 1. */
export interface BuildOrigin {
  readonly run: number;
  /** When that run was asked for. */
  readonly at: number;
  /** "Stage.task" */
  readonly task: string;
}

export type BuildResult =
  | {
      readonly kind: "made";
      /** By which a worker finds it again. */
      readonly image: string;
      /** It was there already: nothing that it is made of has changed. */
      readonly cached: boolean;
      readonly madeAt: number;
      /** Null: a run that is not of this boss, or not known any more. */
      readonly by: BuildOrigin | null;
    }
  /** The Dockerfile or what it reads is to blame. */
  | {
      readonly kind: "failed";
      /** "2/3: RUN make"; null: it had not come to one. */
      readonly step: string | null;
      readonly message: string;
    };

/** "at step 2/3: RUN make (why)"; undefined where nothing failed. */
export function describeUnbuilt(result: BuildResult | undefined): string | undefined {
  if (result?.kind !== "failed") return undefined;
  const { step, message } = result;
  return step === null ? `(${message})` : `at step ${step} (${message})`;
}

/** "cached, made by run 12"; null where something was made. */
export function describeCached(results: readonly BuildResult[]): string | null {
  const origins = results.map((result) =>
    result.kind === "made" && result.cached ? originOf(result) : null,
  );
  if (origins.length === 0 || origins.includes(null)) return null;
  return `cached, made ${[...new Set(origins)].join(" and ")}`;
}

function originOf({ by, madeAt }: Extract<BuildResult, { kind: "made" }>): string {
  return by ? `by run ${by.run}` : moment(madeAt);
}

/** To the minute. */
function moment(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
