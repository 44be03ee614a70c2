/** Why a command cannot have the source it asks for, and what to do. */
export class SourceTrouble extends Error {
  readonly hint: string;
  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}
