// Output as the `log` events of the old contract (POST /run): one event a line.

const lineEnd = /\r\n|\n|\r/g;
const eventStart = "event: log\ndata: ";
const eventEnd = "\n\n";

/** A line longer than this is sent in pieces of one event, so that it need not fit in memory. */
const longestHeldLine = 64 * 1024;

export class LogEvents {
  // A byte order mark in the output is output.
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #held = "";
  #eventIsOpen = false;
  #heldReturn = false;

  /** Whether an event has been begun and not ended: nothing else may be sent now. */
  get eventIsOpen(): boolean {
    return this.#eventIsOpen;
  }

  /** What to send for these bytes; may be nothing yet. */
  push(chunk: Uint8Array): string {
    return this.#lines(this.#decoder.decode(chunk, { stream: true }));
  }

  /** What is left when the output has ended: a last line without a line end. */
  end(): string {
    const rest = this.#lines(this.#decoder.decode());
    const lastReturn = this.#heldReturn ? this.#finishLine("") : "";
    this.#heldReturn = false;
    const partial = this.#held !== "" || this.#eventIsOpen ? this.#finishLine("") : "";
    return rest + lastReturn + partial;
  }

  #lines(text: string): string {
    if (text === "") return "";
    // "\r" at the very end may be half of a "\r\n".
    if (this.#heldReturn) text = `\r${text}`;
    this.#heldReturn = text.endsWith("\r");
    if (this.#heldReturn) text = text.slice(0, -1);

    const lines = text.split(lineEnd);
    const unfinished = lines.pop()!;
    let sent = "";
    if (lines.length > 0) {
      sent = this.#finishLine(lines[0]!);
      for (let i = 1; i < lines.length; i++) sent += eventStart + lines[i]! + eventEnd;
    }
    this.#held += unfinished;
    if (this.#held.length > longestHeldLine) {
      sent += (this.#eventIsOpen ? "" : eventStart) + this.#held;
      this.#held = "";
      this.#eventIsOpen = true;
    }
    return sent;
  }

  #finishLine(rest: string): string {
    const line = (this.#eventIsOpen ? "" : eventStart) + this.#held + rest + eventEnd;
    this.#held = "";
    this.#eventIsOpen = false;
    return line;
  }
}
