// Reading the output of an execution, for wire/worker-client.ts.

import type { IncomingMessage } from "node:http";
import {
  causeOf,
  refusal,
  silenceError,
  type WorkerConnection,
  WorkerError,
} from "./worker-connection.js";

export interface CopyOutputOptions {
  /** Gets each byte once. A promise means: no more until it resolves. */
  readonly take: (bytes: Uint8Array) => Promise<void> | undefined;
  /** `take` threw or rejected: nothing more is read. */
  readonly refused: (error: TakerError) => void;
  readonly signal: AbortSignal;
  readonly silenceMs: number;
}

export interface OutputCopy {
  /** So many there will be. While the command ran its events were the sign of life; now the output is. */
  expect(bytes: number): void;
  /** Resolves after the last byte has been taken. */
  complete(): Promise<void>;
}

/** Whoever asked could not take the output. */
export class TakerError extends Error {}

/** Hands the output of an execution over as it comes. */
export function copyOutput(
  connection: WorkerConnection,
  path: string,
  { take, refused, signal, silenceMs }: CopyOutputOptions,
): OutputCopy {
  let received = 0;
  let expected: number | null = null;
  let response: IncomingMessage | null = null;
  let silence: NodeJS.Timeout | undefined;
  let isOver = false;

  const watchSilence = () => {
    clearTimeout(silence);
    if (isOver || expected === null || response?.isPaused()) return;
    silence = setTimeout(() => response?.destroy(silenceError(silenceMs)), silenceMs);
  };
  const copy = async () => {
    const opened = await connection.open({ method: "GET", path: `${path}/output`, signal });
    response = opened;
    if (opened.statusCode !== 200) throw new WorkerError(await refusal(opened));
    let taking: Promise<void> | undefined;
    await new Promise<void>((resolve, reject) => {
      const refuse = (error: unknown) => {
        opened.destroy();
        refused(new TakerError(`the output could not be kept: ${causeOf(error)}`));
      };
      opened.on("data", (chunk: Buffer) => {
        received += chunk.length;
        try {
          taking = take(chunk);
        } catch (error) {
          return refuse(error);
        }
        if (taking) {
          opened.pause();
          taking.then(() => {
            opened.resume();
            watchSilence();
          }, refuse);
        }
        if (expected !== null) watchSilence();
      });
      opened.on("end", resolve);
      opened.on("error", reject);
      opened.on("close", () => reject(new Error("the output was cut off")));
    });
    await taking;
  };
  const copied = copy().finally(() => {
    isOver = true;
    clearTimeout(silence);
  });
  // Asked for only after `finished`; a broken connection breaks the events as well.
  copied.catch(() => {});
  return {
    expect(bytes: number) {
      expected = bytes;
      watchSilence();
    },
    async complete() {
      await copied;
      if (received === expected) return;
      throw new WorkerError(`sent ${received} bytes of output, and said they were ${expected}`);
    },
  };
}
