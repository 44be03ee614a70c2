// Which shell an image has, and whether that takes commands from its standard input, as the one of a container does
// that is made ahead. It is found out by the first container of an image, and remembered by the image's id.
//
//   sh, found by PATH ──missing──► the next place ──missing in all──► a fault: commands need a shell
//          │
//          └──reads nothing──► it gets each command when its container is made, as with `docker run`

import type { Duplex } from "node:stream";
import { createDemux } from "./demux.js";
import { ExecutorFault } from "./executor.js";

export interface Shell {
  readonly path: string;
  /** False: it is given its command as an argument. */
  readonly reads: boolean;
}

/** No such program is in the container. */
export class MissingShell extends ExecutorFault {}

/** It has ended, or says nothing. */
export class DeafShell extends ExecutorFault {
  readonly hasEnded: boolean;

  constructor(message: string, { hasEnded = false } = {}) {
    super(message);
    this.hasEnded = hasEnded;
  }
}

const places = ["sh", "/bin/sh", "/usr/bin/sh", "/busybox/sh", "/bin/bash", "/bin/ash"];
/** Of images; what is forgotten is found out again. */
const mostKnown = 1_000;
const answerWithinMs = 20_000;

export class Shells {
  readonly #known = new Map<string, Shell>();
  readonly #log: (line: string) => void;

  constructor(log: (line: string) => void) {
    this.#log = log;
  }

  known(imageId: string): Shell | undefined {
    return this.#known.get(imageId);
  }

  /** Tries until one is found that `use` can use. Rejects with what is wrong with the usual one, where none can. */
  async find<T>(imageId: string, use: (shell: Shell) => Promise<T>): Promise<T> {
    const known = this.known(imageId);
    if (known) return use(known);
    let first: MissingShell | null = null;
    for (const path of places) {
      try {
        const made = await use({ path, reads: true });
        this.#learn(imageId, { path, reads: true });
        return made;
      } catch (error) {
        if (error instanceof DeafShell) {
          if (this.known(imageId)?.reads !== false)
            this.#log(`${error.message}. Its containers are made when their commands are known`);
          this.#learn(imageId, { path, reads: false });
        }
        if (!(error instanceof MissingShell)) throw error;
        first ??= error;
      }
    }
    throw first ?? new ExecutorFault("no shell was looked for");
  }

  #learn(imageId: string, shell: Shell) {
    const [oldest] = this.#known.keys();
    if (this.#known.size >= mostKnown && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(imageId, shell);
  }
}

const word = "bettertest-reads";

export function deafShell(image: string, why: string, how?: { hasEnded: boolean }): DeafShell {
  const words = `the shell of image "${image}" takes no commands from its input: ${why}`;
  return new DeafShell(words, how);
}

/** Resolves when the shell at the other end has done as it was told. Rejects with a DeafShell. */
export async function greet(stream: Duplex, died: Promise<unknown>, image: string): Promise<void> {
  const payloadOf = createDemux();
  let heard = "";
  const stop = new AbortController();
  try {
    await new Promise<void>((resolve, reject) => {
      const hear = (chunk: Buffer) => {
        heard += payloadOf(chunk).toString("latin1");
        if (heard.endsWith(word)) resolve();
      };
      const ended = () => reject(deafShell(image, "it ended", { hasEnded: true }));
      const late = () => reject(deafShell(image, "it does not answer"));
      const timer = setTimeout(late, answerWithinMs);
      stream.on("data", hear);
      stream.on("end", ended);
      void died.then(ended);
      stop.signal.addEventListener("abort", () => {
        clearTimeout(timer);
        // What comes next is for whoever listens then.
        stream.pause();
        stream.off("data", hear);
        stream.off("end", ended);
      });
      stream.write(`printf ${word}\n`);
    });
  } finally {
    stop.abort();
  }
}
