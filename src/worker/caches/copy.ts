import { Worker } from "node:worker_threads";
import { asError } from "../../lib/as-error.js";
import { onAbort } from "../../lib/on-abort.js";
import type { CopyAnswer, CopyOrder } from "./copy-thread.js";

export class CopyTooLarge extends Error {}

/** Rejects soon after the signal is aborted; then nothing is written any more. */
export async function copy(
  order: CopyOrder,
  signal?: AbortSignal,
): Promise<{ readonly bytes: number; readonly digest: string }> {
  signal?.throwIfAborted();
  const thread = new Worker(new URL("./copy-thread.js", import.meta.url), { workerData: order });
  const unheard = signal && onAbort(signal, () => void thread.terminate());
  try {
    const answer = await new Promise<CopyAnswer>((resolve, reject) => {
      thread.once("message", resolve);
      thread.once("error", (error) => reject(asError(error)));
      thread.once("exit", () => reject(new Error("copying was ended")));
    });
    if (answer.ok) return answer;
    throw answer.tooLarge ? new CopyTooLarge(answer.message) : new Error(answer.message);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    unheard?.();
    await thread.terminate();
  }
}
