// What a page shows besides the stream of events: it wishes for an address, effects.ts fetches it, and it is
// fetched anew when the wish's version is another one. What is there stays until the new one has come.

export interface Wish {
  readonly url: string;
  /** Anything that tells an outdated answer from a good one. */
  readonly version: string;
}

export interface Fetched {
  /** Null: it was asked for in vain so far. */
  readonly version: string | null;
  readonly data: unknown;
  readonly problem: string | null;
}

/** More answers than this are kept only while the page wishes for them; one that is opened again asks again. */
export const maxFetched = 12;

export function keepFetched(
  known: ReadonlyMap<string, Fetched>,
  url: string,
  { version, data, problem }: Fetched,
  wished: ReadonlySet<string>,
): ReadonlyMap<string, Fetched> {
  const kept = new Map(known);
  kept.delete(url);
  // A failure does not take away what was shown before it.
  kept.set(url, { version, data: data ?? known.get(url)?.data ?? null, problem });
  for (const oldest of kept.keys()) {
    if (kept.size <= maxFetched) break;
    if (!wished.has(oldest)) kept.delete(oldest);
  }
  return kept;
}

/** What the boss answered, of the type its contract gives the address; null until then. */
export function answerTo<T>(fetched: ReadonlyMap<string, Fetched>, url: string): T | null {
  return (fetched.get(url)?.data as T | undefined) ?? null;
}
