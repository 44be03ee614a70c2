// One results file, from its bytes on: finds out what it is, and hands it to the right reader.

import { createJunitReader } from "./junit.js";
import type { ReportReader, ReportTaker } from "./report.js";
import { createTapReader } from "./tap.js";

/** So many bytes tell the encoding of a text. */
const headBytes = 256;

export class ResultsFile {
  readonly #taker: ReportTaker;
  #head: Uint8Array | null = new Uint8Array();
  #decoder = decoderFor(new Uint8Array());
  #reader: ReportReader | null = null;
  #problem: string | null = null;

  constructor(taker: ReportTaker) {
    this.#taker = taker;
  }

  /** Never throws: what cannot be read is a problem told at the end. */
  push(chunk: Uint8Array): void {
    if (this.#head) {
      this.#head = Buffer.concat([this.#head, chunk]);
      if (this.#head.length < headBytes) return;
      this.#begin();
    } else this.#try(() => this.#text(this.#decoder.decode(chunk, { stream: true })));
  }

  /** Why it could not be read to its end, as the end of a sentence; null: it could. */
  end(): string | null {
    this.#begin();
    this.#try(() => {
      this.#text(this.#decoder.decode());
      if (!this.#reader) throw new Error("it is empty");
      this.#reader.end();
    });
    return this.#problem;
  }

  #begin(): void {
    const head = this.#head;
    if (!head) return;
    this.#head = null;
    this.#decoder = decoderFor(head);
    this.#try(() => this.#text(this.#decoder.decode(head, { stream: true })));
  }

  #text(text: string): void {
    if (!this.#reader) {
      const first = text.trimStart();
      if (first === "") return;
      const create = first.startsWith("<") ? createJunitReader : createTapReader;
      this.#reader = create(this.#taker);
    }
    this.#reader.push(text);
  }

  #try(work: () => void): void {
    if (this.#problem !== null) return;
    try {
      work();
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error);
      this.#reader?.breakOff();
    }
  }
}

function decoderFor(head: Uint8Array) {
  if (head[0] === 0xff && head[1] === 0xfe) return new TextDecoder("utf-16le");
  if (head[0] === 0xfe && head[1] === 0xff) return new TextDecoder("utf-16be");
  const prolog = Buffer.from(head.subarray(0, headBytes)).toString("latin1");
  const label = /^<\?xml[^>]*\sencoding=["']([\w.:-]{1,40})["']/.exec(prolog)?.[1];
  try {
    return new TextDecoder(label ?? "utf-8");
  } catch {
    return new TextDecoder();
  }
}
