// Why a question to the boss had no answer.

/** What the boss answered where it did not give what it was asked for. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, words: string) {
    super(words);
    this.status = status;
  }
}

/** Whatever else fails, a broken connection or a proxy without its boss, may go well another time. */
export function isGone(error: unknown): boolean {
  return error instanceof Refusal && error.status === 404;
}

export function reasonOf(error: unknown): string {
  // What browsers call it when nobody answers.
  if (error instanceof TypeError) return "the boss does not answer";
  return error instanceof Error ? error.message : String(error);
}
