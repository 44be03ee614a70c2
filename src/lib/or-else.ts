// What a promise comes to, unless something else comes first.

import { onAbort } from "./on-abort.js";

/** Where the signal is aborted first: what `otherwise` gives or throws, by default its reason. */
export async function orAborted<T, U = never>(
  work: Promise<T>,
  signal: AbortSignal,
  otherwise: () => U = () => {
    throw signal.reason;
  },
): Promise<T | U> {
  // Then nobody is interested in how it fails.
  work.catch(() => {});
  if (signal.aborted) return otherwise();
  let leave = () => {};
  const aborted = new Promise<void>((resolve) => {
    leave = onAbort(signal, resolve);
  }).then(otherwise);
  try {
    return await Promise.race([aborted, work]);
  } finally {
    leave();
  }
}

/** Where it takes longer: what `late` gives or throws. */
export async function within<T, U>(ms: number, work: Promise<T>, late: () => U): Promise<T | U> {
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  }).then(late);
  try {
    return await Promise.race([work, timeUp]);
  } finally {
    clearTimeout(timer);
  }
}
