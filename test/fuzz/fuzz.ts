// Properties that must hold for whatever comes in. A failure prints the seed; the same cases come again with
//
//   FUZZ='{"seed":123,"path":"0:1"}' node --test dist/test/fuzz/NAME.test.js

import { test } from "node:test";
import fc from "fast-check";

/** In CI what the project promises; at a desk what costs a second. */
const cases = process.env.CI ? 100_000 : 2_000;

const replay: { readonly seed?: number; readonly path?: string } = JSON.parse(
  process.env.FUZZ ?? "{}",
);

export interface FuzzOptions {
  /** For what costs so many times as much as a parser. */
  readonly fewer?: number;
}

/** One test of many cases; the property says by throwing what is wrong. */
export function fuzz<T>(
  name: string,
  arbitrary: fc.Arbitrary<T>,
  property: (value: T) => void,
  { fewer = 1 }: FuzzOptions = {},
): void {
  test(name, () => {
    fc.assert(fc.property(arbitrary, property), {
      numRuns: Math.ceil(cases / fewer),
      ...replay,
      includeErrorInReport: true,
    });
  });
}

export function fuzzAsync<T>(
  name: string,
  arbitrary: fc.Arbitrary<T>,
  property: (value: T) => Promise<void>,
  { fewer = 1 }: FuzzOptions = {},
): void {
  test(name, async () => {
    await fc.assert(fc.asyncProperty(arbitrary, property), {
      numRuns: Math.ceil(cases / fewer),
      ...replay,
    });
  });
}

/** Text of a few pieces: those that mean something to the parser, and anything else. */
export function textOf(pieces: readonly string[], maxPieces = 12): fc.Arbitrary<string> {
  const piece = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...pieces) },
    { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 4 }) },
  );
  return fc.array(piece, { maxLength: maxPieces }).map((parts) => parts.join(""));
}

/** Where to cut, in parts of the whole. */
export const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 });

export function cutAt(whole: Uint8Array, at: readonly number[]): Uint8Array[] {
  const ends = [...at.map((part) => Math.floor(part * whole.length)), whole.length].sort(
    (a, b) => a - b,
  );
  return ends.map((end, index) => whole.subarray(ends[index - 1] ?? 0, end));
}

export async function* streamOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
