// The difference of two lists of lines, each given as a number that stands for its text. Bounded: where it
// would cost too much to find the shortest one, a longer one is given.

/** Lines of the one that stand in place of lines of the other; from 0. */
export type Hunk = readonly [left: number, leftCount: number, right: number, rightCount: number];

type Lines = ArrayLike<number>;

/** Blocks without a line that stands once in both are compared line by line up to this size. */
const maxCells = 1_000_000;

export function diffLines(left: Lines, right: Lines): Hunk[] {
  const hunks: Hunk[] = [];
  // Last in, first out: pushed from the end, so that hunks come in order.
  const todo: Block[] = [{ a: 0, aEnd: left.length, b: 0, bEnd: right.length }];
  for (let block = todo.pop(); block; block = todo.pop()) {
    const { a, aEnd, b, bEnd } = trim(left, right, block);
    if (a === aEnd && b === bEnd) continue;
    if (a === aEnd || b === bEnd) {
      add(hunks, [a, aEnd - a, b, bEnd - b]);
      continue;
    }
    const anchors = uniqueInBoth(left, right, { a, aEnd, b, bEnd });
    if (anchors.length > 0) todo.push(...between({ a, aEnd, b, bEnd }, anchors).reverse());
    else if ((aEnd - a) * (bEnd - b) <= maxCells) {
      for (const hunk of shortest(left, right, { a, aEnd, b, bEnd })) add(hunks, hunk);
    } else add(hunks, [a, aEnd - a, b, bEnd - b]);
  }
  return hunks;
}

interface Block {
  readonly a: number;
  readonly aEnd: number;
  readonly b: number;
  readonly bEnd: number;
}

/** What touches is one. */
function add(hunks: Hunk[], hunk: Hunk): void {
  const last = hunks.at(-1);
  if (last && last[0] + last[1] === hunk[0] && last[2] + last[3] === hunk[2]) {
    hunks[hunks.length - 1] = [last[0], last[1] + hunk[1], last[2], last[3] + hunk[3]];
  } else hunks.push(hunk);
}

function trim(left: Lines, right: Lines, block: Block): Block {
  let { a, aEnd, b, bEnd } = block;
  while (a < aEnd && b < bEnd && left[a] === right[b]) {
    a += 1;
    b += 1;
  }
  while (a < aEnd && b < bEnd && left[aEnd - 1] === right[bEnd - 1]) {
    aEnd -= 1;
    bEnd -= 1;
  }
  return { a, aEnd, b, bEnd };
}

type Pair = readonly [a: number, b: number];

/** Lines that stand once on each side, as many of them as come in the same order on both. */
function uniqueInBoth(left: Lines, right: Lines, { a, aEnd, b, bEnd }: Block): Pair[] {
  const onceRight = new Map<number, number>();
  for (let i = b; i < bEnd; i += 1) onceRight.set(right[i]!, onceRight.has(right[i]!) ? -1 : i);
  const onceLeft = new Map<number, number>();
  for (let i = a; i < aEnd; i += 1) onceLeft.set(left[i]!, onceLeft.has(left[i]!) ? -1 : i);
  const pairs: Pair[] = [];
  for (const [line, i] of onceLeft) {
    const j = onceRight.get(line) ?? -1;
    if (i >= 0 && j >= 0) pairs.push([i, j]);
  }
  return longestRising(pairs);
}

/** Of pairs that rise on the left, the most that rise on the right too. */
function longestRising(pairs: readonly Pair[]): Pair[] {
  const tops: number[] = [];
  const before = new Int32Array(pairs.length).fill(-1);
  for (const [index, [, b]] of pairs.entries()) {
    let low = 0;
    let high = tops.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (pairs[tops[middle]!]![1] < b) low = middle + 1;
      else high = middle;
    }
    if (low > 0) before[index] = tops[low - 1]!;
    tops[low] = index;
  }
  const result: Pair[] = [];
  for (let at = tops.at(-1) ?? -1; at >= 0; at = before[at]!) result.push(pairs[at]!);
  return result.reverse();
}

function between({ a, aEnd, b, bEnd }: Block, anchors: readonly Pair[]): Block[] {
  const blocks: Block[] = [];
  let [fromA, fromB] = [a, b];
  for (const [i, j] of anchors) {
    blocks.push({ a: fromA, aEnd: i, b: fromB, bEnd: j });
    fromA = i + 1;
    fromB = j + 1;
  }
  blocks.push({ a: fromA, aEnd, b: fromB, bEnd });
  return blocks;
}

/** By the longest common part, in a table. */
function* shortest(left: Lines, right: Lines, { a, aEnd, b, bEnd }: Block): Generator<Hunk> {
  const width = bEnd - b + 1;
  const table = new Uint32Array((aEnd - a + 1) * width);
  for (let i = aEnd - a - 1; i >= 0; i -= 1) {
    for (let j = bEnd - b - 1; j >= 0; j -= 1) {
      table[i * width + j] =
        left[a + i] === right[b + j]
          ? table[(i + 1) * width + j + 1]! + 1
          : Math.max(table[(i + 1) * width + j]!, table[i * width + j + 1]!);
    }
  }
  let [i, j] = [0, 0];
  while (a + i < aEnd || b + j < bEnd) {
    if (a + i < aEnd && b + j < bEnd && left[a + i] === right[b + j]) {
      i += 1;
      j += 1;
      continue;
    }
    const isLeft =
      b + j >= bEnd || (a + i < aEnd && table[(i + 1) * width + j]! >= table[i * width + j + 1]!);
    yield isLeft ? [a + i, 1, b + j, 0] : [a + i, 0, b + j, 1];
    if (isLeft) i += 1;
    else j += 1;
  }
}
