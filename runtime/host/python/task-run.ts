import type { TaskEnd } from "../../../src/model/failure.js";
import type { ToInterpreter } from "../../../src/wire/python-bridge.js";
import type { CallRequest, TaskIo } from "../host.js";
import { bossFault } from "../problem.js";

/**
 * One task under way in the interpreter. What comes from there is dealt with strictly in order, so that a
 * task's own words are in its output before the command it calls next writes there; calls then go on side by
 * side. Order: output, call and abandon any number of times, then finish, once.
 */
export class TaskRun {
  readonly ended: Promise<TaskEnd>;
  readonly #id: number;
  readonly #io: TaskIo;
  readonly #send: (message: ToInterpreter) => void;
  #end!: (end: TaskEnd) => void;
  #turn: Promise<void> = Promise.resolve();
  #calls = new Map<number, AbortController>();
  #answers = new Set<Promise<void>>();
  #cancelled = false;
  #writeError: unknown;

  constructor(id: number, io: TaskIo, send: (message: ToInterpreter) => void) {
    this.#id = id;
    this.#io = io;
    this.#send = send;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  output(bytes: Uint8Array) {
    this.#next(async () => {
      try {
        await this.#io.write(bytes);
      } catch (error) {
        this.#writeError ??= error;
      }
      this.#send({ type: "acknowledge", task: this.#id, bytes: bytes.length });
    });
  }

  call(call: number, request: CallRequest) {
    const stop = new AbortController();
    if (this.#cancelled) stop.abort();
    this.#calls.set(call, stop);
    this.#next(async () => {
      if (stop.signal.aborted) return;
      const answer = this.#answer(call, request, stop.signal)
        // A fault of ours ends this task, not the boss with all its runs.
        .catch((error: unknown) => this.#end({ status: "errored", fault: bossFault(error) }))
        .finally(() => this.#answers.delete(answer));
      this.#answers.add(answer);
    });
  }

  /** A call that no worker would take: it fails, and nothing else. */
  refuse(call: number, message: string) {
    const outcome = { kind: "faulted", message } as const;
    this.#next(async () => this.#send({ type: "result", task: this.#id, call, outcome }));
  }

  /** Whoever waited for this call is gone. */
  abandon(call: number) {
    this.#calls.get(call)?.abort();
  }

  cancel() {
    this.#cancelled = true;
    this.stopCalls();
  }

  stopCalls() {
    for (const stop of this.#calls.values()) stop.abort();
  }

  finish(end: TaskEnd) {
    this.#next(async () => {
      await Promise.all(this.#answers);
      if (this.#cancelled) this.#end({ status: "cancelled" });
      else if (this.#writeError !== undefined) this.#end(lostOutput(this.#writeError));
      else this.#end(end);
    });
  }

  #next(step: () => Promise<void>) {
    this.#turn = this.#turn.then(step);
  }

  async #answer(call: number, request: CallRequest, signal: AbortSignal) {
    const { outcome } = await this.#io.call({ call, ...request }, signal);
    this.#calls.delete(call);
    this.#send({ type: "result", task: this.#id, call, outcome });
  }
}

function lostOutput(error: unknown): TaskEnd {
  const words = error instanceof Error ? error.message : String(error);
  return { status: "errored", fault: { message: `the task's output could not be kept: ${words}` } };
}
