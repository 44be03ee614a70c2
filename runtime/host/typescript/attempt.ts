// One attempt of a task, as the boss sees it: what the task printed and which commands it asked for, dealt
// with in the order in which they came.

import { onAbort } from "../../../src/lib/on-abort.js";
import type { TaskEnd } from "../../../src/model/failure.js";
import type { CallRequest, TaskIo } from "../host.js";
import { bossFault } from "../problem.js";
import type { Home } from "./home.js";

/** How long a cancelled task's code may take to notice before nobody waits for it any more. */
const cancelGraceMs = 1000;

export class Attempt {
  /** Resolves after every command and every byte of output is dealt with. */
  readonly end: Promise<TaskEnd>;
  readonly label: string;
  #id: number;
  #io: TaskIo;
  #home: Home;
  #commands = new AbortController();
  #calls = new Set<Promise<void>>();
  #printed: Promise<void> | undefined;
  #resolve!: (end: TaskEnd) => void;

  constructor(
    { id, label }: { readonly id: number; readonly label: string },
    io: TaskIo,
    signal: AbortSignal,
    home: Home,
  ) {
    this.#id = id;
    this.label = label;
    this.#io = io;
    this.#home = home;
    let grace: NodeJS.Timeout | undefined;
    const cancel = () => {
      this.#commands.abort(signal.reason);
      home.send({ type: "cancel", id });
      grace = setTimeout(() => this.finish({ status: "cancelled" }), cancelGraceMs);
    };
    const forget = onAbort(signal, cancel);
    this.end = new Promise<TaskEnd>((resolve) => {
      this.#resolve = resolve;
    }).then(async (end) => {
      forget();
      clearTimeout(grace);
      // A home that broke leaves commands behind; those of a task that ended by itself are done.
      this.#commands.abort();
      await Promise.all([...this.#calls, this.#printed]);
      return signal.aborted ? { status: "cancelled" } : end;
    });
  }

  print(bytes: Uint8Array): Promise<void> | undefined {
    const before = this.#printed;
    const done = before ? before.then(() => this.#io.write(bytes)) : this.#io.write(bytes);
    if (!done) return undefined;
    const settled = done.finally(() => {
      if (this.#printed === settled) this.#printed = undefined;
    });
    this.#printed = settled;
    return settled;
  }

  /** What the task printed before it is written first. */
  call(call: number, { worker, request }: CallRequest): void {
    const running = this.#call(call, { worker, request })
      // A fault of ours ends this task, not the boss with all its runs.
      .catch((error: unknown) => this.finish({ status: "errored", fault: bossFault(error) }))
      .finally(() => this.#calls.delete(running));
    this.#calls.add(running);
  }

  /** A call that no worker would take: it fails, and nothing else. */
  refuse(call: number, message: string): void {
    const outcome = { kind: "faulted", message } as const;
    this.#home.send({
      ...{ type: "answer", id: this.#id, call, outcome, durationMs: 0, outputBytes: 0 },
    });
  }

  finish(end: TaskEnd): void {
    this.#resolve(end);
  }

  async #call(call: number, { worker, request }: CallRequest): Promise<void> {
    await this.#printed;
    const result = await this.#io.call({ call, worker, request }, this.#commands.signal);
    const { outcome, durationMs, output, outputBytes } = result;
    this.#home.send(
      { type: "answer", id: this.#id, call, outcome, durationMs, outputBytes },
      output,
    );
  }
}
