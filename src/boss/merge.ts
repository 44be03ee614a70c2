/**
 * Lets several producers write into one stream. `emit` resolves when the reader has taken the message, so
 * a slow reader holds its producers back instead of filling memory.
 */
export async function* mergeInto<T>(
  signal: AbortSignal,
  produce: (emit: (message: T) => Promise<void>, scope: AbortSignal) => Promise<void>,
): AsyncGenerator<T> {
  const scope = new AbortController();
  const waiting: { message: T; taken: () => void }[] = [];
  let wake = () => {};
  let ended = false;
  let failure: unknown;
  const onAbort = () => {
    scope.abort();
    wake();
  };
  signal.addEventListener("abort", onAbort);

  const emit = (message: T) =>
    new Promise<void>((taken) => {
      if (scope.signal.aborted) return taken();
      waiting.push({ message, taken });
      wake();
    });
  const done = produce(emit, scope.signal)
    .catch((error: unknown) => {
      failure = error;
    })
    .finally(() => {
      ended = true;
      wake();
    });

  try {
    for (;;) {
      const next = waiting.shift();
      if (next) {
        yield next.message;
        next.taken();
        continue;
      }
      if (ended || scope.signal.aborted) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (failure !== undefined) throw failure;
  } finally {
    scope.abort();
    for (const { taken } of waiting) taken();
    signal.removeEventListener("abort", onAbort);
    await done;
  }
}
