// Tells a worker which executions it may forget. It is in no hurry, so several are told together: a request for each
// would be every second one that a boss makes.

import type { Connection } from "./connection.js";
import { executionPath } from "./worker.js";

const patienceMs = 1000;
/** As many as fit into a URL. */
const mostAtOnce = 100;

export class Forgetting {
  readonly #worker: Connection;
  #ids: string[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(worker: Connection) {
    this.#worker = worker;
  }

  /** One that has ended. If it is never told, because this process ends before, its lease runs out. */
  add(id: string): void {
    this.#ids.push(id);
    if (this.#ids.length >= mostAtOnce) void this.flush();
    else this.#timer ??= setTimeout(() => void this.flush(), patienceMs).unref();
  }

  /** Also one that still runs: it is cancelled. Resolves when it is gone, and never rejects. */
  async now(id: string): Promise<void> {
    await this.#remove(executionPath(id));
  }

  /** Never rejects. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const ids = this.#ids;
    this.#ids = [];
    const isKnown = ids.length > 1 && (await this.#remove(`executions?id=${ids.join("&id=")}`));
    // One, or an older worker.
    if (!isKnown) await Promise.all(ids.map((id) => this.now(id)));
  }

  /** False where the worker does not know of such a request. */
  async #remove(path: string): Promise<boolean> {
    const { connectTimeoutMs: timeoutMs } = this.#worker;
    try {
      const response = await this.#worker.open({ method: "DELETE", path, timeoutMs });
      response.resume();
      return response.statusCode !== 404;
    } catch {
      return true;
    }
  }
}
