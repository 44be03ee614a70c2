// One connection to the engine, with one request on it at a time.

import type { Duplex } from "node:stream";
import { asError } from "../../../lib/as-error.js";
import { type Answer, AnswerReader } from "./answer.js";

/** The connection has ended without a byte of an answer. */
export class NoAnswer extends Error {}

interface Waiting {
  readonly reader: AnswerReader;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout | undefined;
}

export class Line {
  readonly #stream: Duplex;
  #waiting: Waiting | null = null;
  #isOver = false;

  constructor(stream: Duplex, over: () => void) {
    this.#stream = stream;
    let cause: Error | null = null;
    stream.on("data", (chunk: Buffer) => this.#hear(chunk));
    stream.on("error", (error) => {
      cause = error;
    });
    stream.on("end", () => stream.destroy());
    stream.on("close", () => {
      this.#isOver = true;
      over();
      this.#lose(cause);
    });
  }

  get isOver(): boolean {
    return this.#isOver || this.#stream.destroyed;
  }

  ask(text: string, withinMs: number | null): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const late = () => this.#stream.destroy(silence(withinMs ?? 0));
      const timer = withinMs === null ? undefined : setTimeout(late, withinMs);
      this.#waiting = { reader: new AnswerReader(), resolve, reject, timer };
      if (this.isOver) this.#lose(null);
      else this.#stream.write(text);
    });
  }

  end(): void {
    this.#stream.destroy();
  }

  #hear(chunk: Buffer): void {
    const waiting = this.#waiting;
    // Nobody has asked.
    if (!waiting) {
      this.end();
      return;
    }
    try {
      const answer = waiting.reader.push(chunk);
      if (answer) this.#answered(waiting, answer);
    } catch (error) {
      this.#stream.destroy(asError(error));
    }
  }

  #answered({ resolve, timer }: Waiting, answer: Answer): void {
    this.#waiting = null;
    clearTimeout(timer);
    resolve(answer);
  }

  #lose(cause: Error | null): void {
    const waiting = this.#waiting;
    if (!waiting) return;
    const answer = cause ? null : waiting.reader.end();
    if (answer) {
      this.#answered(waiting, answer);
      return;
    }
    this.#waiting = null;
    clearTimeout(waiting.timer);
    const words = cause ? cause.message : "the connection was closed";
    waiting.reject(waiting.reader.hasBegun ? new Error(words) : new NoAnswer(words));
  }
}

export function silence(ms: number): Error {
  return new Error(`the Docker engine did not answer within ${ms / 1000} s`);
}
