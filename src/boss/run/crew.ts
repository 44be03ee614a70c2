/** Work under way side by side. What has ended leaves nothing behind, however much there was. */
export class Crew {
  #underWay = 0;
  #failure: { readonly error: unknown } | null = null;
  #idle: () => void = () => {};

  /** `ended` is called when it has, however. */
  add(work: Promise<void>, ended: () => void): void {
    this.#underWay += 1;
    work.then(
      () => this.#leave(ended),
      (error: unknown) => {
        this.#failure ??= { error };
        this.#leave(ended);
      },
    );
  }

  #leave(ended: () => void): void {
    ended();
    this.#underWay -= 1;
    if (this.#underWay === 0) this.#idle();
  }

  get hasFailed(): boolean {
    return this.#failure !== null;
  }

  /** When all of it has ended. Rejects as the first that did. */
  async done(): Promise<void> {
    if (this.#underWay > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    if (this.#failure) throw this.#failure.error;
  }
}
