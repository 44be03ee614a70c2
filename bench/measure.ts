// What a benchmark says, and how it comes to it: what is measured and what it is compared with, one right
// after the other, round after round. So what else the machine does meets both alike.

export interface Pair {
  readonly measured: number;
  readonly baseline: number;
}

/** Of the medians. */
export interface Target {
  readonly of: "ratio" | "measured";
  readonly atMost?: number;
  readonly atLeast?: number;
}

export interface Row {
  readonly what: string;
  /** What it is compared with. */
  readonly against: string;
  /** Of both values: "ms", "MB/s". */
  readonly unit: string;
  readonly rounds: readonly Pair[];
  /** What it should be; absent: it is only told. Nothing fails where it is not. */
  readonly target?: Target;
  /** What else was seen. */
  readonly note?: string;
}

export interface BenchContext {
  /** At least 5, but when somebody is in a hurry. */
  readonly rounds: number;
  /** A fraction of the work, to see that all of it runs. */
  readonly quick: boolean;
  /** Empty, and removed afterwards. */
  readonly folder: string;
}

export interface Bench {
  readonly name: string;
  readonly what: string;
  readonly needs: readonly Need[];
  run(context: BenchContext): Promise<readonly Row[]>;
}

export type Need = "docker" | "python3" | "rsync" | "git";

export function ratios({ rounds }: Row): Spread {
  return spread(rounds.map(({ measured, baseline }) => measured / baseline));
}

/** Null where there is nothing to meet. */
export function isMet(row: Row): boolean | null {
  const { target, rounds } = row;
  if (!target) return null;
  const { median } =
    target.of === "ratio" ? ratios(row) : spread(rounds.map(({ measured }) => measured));
  return (
    median <= (target.atMost ?? Number.POSITIVE_INFINITY) &&
    median >= (target.atLeast ?? Number.NEGATIVE_INFINITY)
  );
}

/** Rounds of pairs. The order within a round changes each time: whoever is second may find a warm cache. */
export async function interleaved(
  rounds: number,
  measure: () => Promise<number>,
  baseline: () => Promise<number>,
): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (let round = 0; round < rounds; round++) {
    if (round % 2 === 0) {
      const measured = await measure();
      pairs.push({ measured, baseline: await baseline() });
    } else {
      const compared = await baseline();
      pairs.push({ measured: await measure(), baseline: compared });
    }
  }
  return pairs;
}

export async function timed(work: () => Promise<unknown> | unknown): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: middle(sorted), min: sorted[0]!, max: sorted.at(-1)! };
}

function middle(sorted: readonly number[]): number {
  const half = sorted.length / 2;
  return (sorted[Math.ceil(half) - 1]! + sorted[Math.floor(half)]!) / 2;
}

/** Of sorted values. */
export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!;
}
