/** Anything can be thrown; this makes an Error of it. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
