// What a command has printed, from the engine's stream to whoever takes it.

import type { Duplex } from "node:stream";
import { asError } from "../../lib/as-error.js";
import type { OutputSink } from "./executor.js";
import { createMarkedOutput } from "./marked-output.js";

export interface OutputTakers {
  readonly sink: OutputSink;
  /** The exit code has been read; the sink may still have something to take. */
  readonly ended: () => void;
}

/**
 * Resolves when the sink has taken everything: to the exit code, or to null where the stream has ended without
 * one being told.
 */
export function outputUntilEnd(
  output: Duplex,
  mark: Buffer,
  { sink, ended }: OutputTakers,
): Promise<number | null> {
  const marked = createMarkedOutput(mark);
  const closed = () => output.errored ?? new Error("the output stream was closed");
  // It would say nothing any more.
  if (output.destroyed) return Promise.reject(closed());
  return new Promise((resolve, reject) => {
    let taking: Promise<void> | undefined;
    const take = (payload: Buffer) => (payload.length === 0 ? undefined : sink(payload));
    output.on("data", (chunk: Buffer) => {
      if (marked.exitCode !== null) return;
      try {
        taking = take(marked.push(chunk));
      } catch (error) {
        output.destroy(asError(error));
        return;
      }
      if (marked.exitCode !== null) ended();
      if (taking) output.pause();
      const then = () => {
        if (marked.exitCode !== null) resolve(marked.exitCode);
        output.resume();
      };
      if (taking) taking.then(then, (error: Error) => output.destroy(error));
      else if (marked.exitCode !== null) resolve(marked.exitCode);
    });
    output.on("end", async () => {
      try {
        await taking;
        await take(marked.rest());
        resolve(null);
      } catch (error) {
        reject(asError(error));
      }
    });
    output.resume();
    output.on("error", reject);
    output.on("close", () => reject(closed()));
  });
}
