// What a command has printed, from its pipe to whoever takes it.

import type { Socket } from "node:net";
import { onSilence, type Silence } from "../../lib/silence.js";
import type { OutputSink } from "./executor.js";

/**
 * A process that left its group may hold the output open for ever; the command has ended all the same. So long it is
 * read on after that, counted only while the reader is free: what the command wrote last may be behind what is held.
 */
const strayOutputMs = 1_000;
/** More than a pipe can hold, so that what comes behind it was written after the command's end. */
const strayOutputBytes = 2 * 1024 * 1024;

export interface Draining {
  /** Resolves when the output has ended and the sink has taken everything. */
  readonly done: Promise<void>;
  /** To be called when the command has: whoever else writes is not waited for. */
  ended(): void;
}

export function drain(output: Socket, sink: OutputSink): Draining {
  let hasEnded = false;
  let strayBytes = 0;
  let stray: Silence | undefined;
  const waitForStrays = () => {
    if (hasEnded) stray = onSilence(strayOutputMs, () => output.destroy());
  };
  const done = new Promise<void>((resolve, reject) => {
    let taking: Promise<void> | undefined;
    output.on("data", (chunk: Buffer) => {
      taking = sink(chunk);
      if (hasEnded) strayBytes += chunk.length;
      if (strayBytes > strayOutputBytes) output.destroy();
      if (!taking || output.destroyed) return;
      output.pause();
      stray?.stop();
      taking.then(
        () => {
          output.resume();
          waitForStrays();
        },
        (error: Error) => output.destroy(error),
      );
    });
    output.on("error", reject);
    output.on("close", () => {
      stray?.stop();
      resolve(taking);
    });
  });
  return {
    done,
    ended() {
      hasEnded = true;
      if (!output.isPaused()) waitForStrays();
    },
  };
}
