// What can become of a request to a boss.

/** Nobody answers at the boss's address, or the connection was lost. */
export class BossUnreachable extends Error {
  override readonly name = "BossUnreachable";
}

/** The boss answered, and said no. */
export class BossRefused extends Error {
  override readonly name = "BossRefused";
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}
