// Brings an attempt back to where it was when the boss was killed. Its code starts again from the beginning.
// The calls it makes are answered from the log, in the order in which they were answered then; those that had
// not ended are taken up at their worker; what it prints again is not printed twice. The same for every host,
// since all that a task does to the world goes through its TaskIo.
//
// Which calls may come next follows from the log alone: those that were made before the next answer was given.
// They may come in another order (threads), but not be others. Code that does something else than it did is
// not deterministic; it cannot be brought back, and the attempt is given up.

import type { CallRequest, CallResult } from "../../../runtime/host/host.js";
import { asError } from "../../lib/as-error.js";
import { ownSource, type PrintedOutput } from "../output/attempt-output.js";
import type { AttemptLog, LoggedCall, Step } from "./attempt-log.js";
import { digestOf } from "./call-digest.js";
import { isLost } from "./call-end.js";

export interface ReplayOptions {
  readonly log: AttemptLog;
  readonly output: PrintedOutput;
  /** What a call that had ended gave; null where that is not known any more. */
  readonly recall: (call: LoggedCall) => Promise<CallResult | null>;
  /** Takes up one that had not ended. Called at once for all; `request` when the code has made it again. */
  readonly resume: (
    call: LoggedCall,
    request: Promise<CallRequest>,
    signal: AbortSignal,
  ) => Promise<CallResult>;
  /** A call that is new. */
  readonly execute: (
    number: number,
    request: CallRequest,
    signal: AbortSignal,
  ) => Promise<CallResult>;
  /** Told once: why the attempt cannot be brought back. */
  readonly giveUp: (reason: string) => void;
}

/** So long a call that is not in the log is held back while one that is in it has not come. */
const orderPatienceMs = 2_000;
/** So much longer than the first time the code may take until it makes a call again. */
const slownessMs = 30_000;

interface HeldCall {
  readonly request: CallRequest;
  readonly signal: AbortSignal;
  readonly answer: (result: CallResult | Promise<CallResult>) => void;
}

const cancelled: CallResult = {
  outcome: { kind: "cancelled" },
  durationMs: 0,
  output: new Uint8Array(),
  outputBytes: 0,
};

interface TakenUp {
  readonly made: (request: CallRequest) => void;
  readonly cancel: () => void;
  readonly answer: Promise<CallResult>;
}

export class Replay {
  readonly #options: ReplayOptions;
  readonly #steps: readonly Step[];
  /** Where in the log the code is. */
  #position = 0;
  readonly #made = new Set<LoggedCall>();
  readonly #inFlight = new Map<LoggedCall, TakenUp>();
  readonly #answers = new Map<LoggedCall, (result: CallResult) => void>();
  #held: HeldCall[] = [];
  #lastCall: number;
  /** Of what the code prints: bytes so far, counted as they were counted then. */
  #printed = 0;
  readonly #printedBefore: number;
  #timer: NodeJS.Timeout | undefined;
  #isOver: () => void = () => {};
  readonly #over = new Promise<void>((resolve) => {
    this.#isOver = resolve;
  });
  #gaveUp = false;

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#steps = options.log.steps;
    this.#printedBefore = options.output.receivedFrom(ownSource);
    const calls = this.#steps.filter(({ what }) => what === "sent").map(({ call }) => call);
    this.#lastCall = Math.max(0, ...calls.map(({ call }) => call));
    for (const call of calls.filter(({ finished }) => !finished)) this.#takeUp(call);
    this.#advance();
  }

  /** At once, not when the code has come to it: its output goes on, and the worker knows that we live. */
  #takeUp(call: LoggedCall): void {
    let made: (request: CallRequest) => void = () => {};
    const request = new Promise<CallRequest>((resolve) => {
      made = resolve;
    });
    const cancel = new AbortController();
    const resuming = this.#options.resume(call, request, cancel.signal);
    const answer = resuming.catch(notTakenUp).then((result) => {
      if (isLost(result.outcome)) {
        const { outcome } = result;
        const why = outcome.kind === "faulted" ? outcome.message : "";
        this.#giveUp(`call ${call.call} was lost while the boss was away: ${why}`);
      }
      return result;
    });
    this.#inFlight.set(call, { made, answer, cancel: () => cancel.abort() });
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    const from = this.#printed;
    // Until the next call it was as much as it was, whatever is printed now.
    const most = this.#nextCall()?.printedBytes ?? Number.POSITIVE_INFINITY;
    const to = Math.max(from, Math.min(from + bytes.length, most));
    this.#printed = to;
    const news = bytes.subarray(Math.max(0, this.#printedBefore - from), to - from);
    return news.length > 0 ? this.#options.output.append(ownSource, news) : undefined;
  }

  call(request: CallRequest, signal: AbortSignal): Promise<CallResult> {
    if (this.#position >= this.#steps.length) return this.#execute(request, signal);
    return new Promise((answer) => {
      const held = { request, signal, answer };
      this.#held.push(held);
      // Nobody waits for it any more.
      const drop = () => {
        this.#held = this.#held.filter((other) => other !== held);
        answer(cancelled);
      };
      signal.addEventListener("abort", drop, { once: true });
      this.#advance();
      if (signal.aborted) drop();
    });
  }

  /** To be called when the code has ended by itself: it must have done all that it did before. */
  checkEnd(): void {
    const left = this.#nextCall();
    if (left) this.#giveUp(`it ended without making its call ${left.call} again`);
  }

  /** Resolves when nothing is under way any more. */
  async close(): Promise<void> {
    this.#gaveUp = true;
    clearTimeout(this.#timer);
    for (const { cancel } of this.#inFlight.values()) cancel();
    await Promise.all([...this.#inFlight.values()].map(({ answer }) => answer));
  }

  /** The first one of the log that the code has not made again. */
  #nextCall(): LoggedCall | undefined {
    for (let at = this.#position; at < this.#steps.length; at++) {
      const { what, call } = this.#steps[at]!;
      if (what === "sent" && !this.#made.has(call)) return call;
    }
    return undefined;
  }

  #execute(request: CallRequest, signal: AbortSignal): Promise<CallResult> {
    this.#lastCall += 1;
    return this.#options.execute(this.#lastCall, request, signal);
  }

  /** Matches calls and gives answers as far as the log and the code have come. */
  #advance(): void {
    let moved = true;
    let progress = false;
    while (moved) {
      moved = this.#match() || this.#step();
      progress ||= moved;
    }
    if (this.#position >= this.#steps.length) {
      clearTimeout(this.#timer);
      this.#isOver();
      for (const { request, signal, answer } of this.#held.splice(0)) {
        answer(this.#execute(request, signal));
      }
    } else if (progress || this.#held.length > 0 || !this.#timer) this.#watch();
  }

  /** One call that is held against those that may come now. */
  #match(): boolean {
    for (const [index, held] of this.#held.entries()) {
      const digest = digestOf(held.request);
      const call = this.#expected().find((candidate) => candidate.digest === digest);
      if (!call) continue;
      this.#held.splice(index, 1);
      this.#made.add(call);
      this.#printed = Math.max(this.#printed, call.printedBytes);
      this.#reply(call, held);
      return true;
    }
    return false;
  }

  /** Made before the next answer was given, and not made again yet. */
  #expected(): LoggedCall[] {
    const calls: LoggedCall[] = [];
    for (let at = this.#position; this.#steps[at]?.what === "sent"; at++) {
      const { call } = this.#steps[at]!;
      if (!this.#made.has(call)) calls.push(call);
    }
    return calls;
  }

  #reply(call: LoggedCall, { request, signal, answer }: HeldCall): void {
    const running = this.#inFlight.get(call);
    if (running) {
      running.made(request);
      if (signal.aborted) running.cancel();
      else signal.addEventListener("abort", running.cancel, { once: true });
      // All that the log knows happened before this one ended.
      void this.#over.then(() => answer(running.answer));
    } else this.#answers.set(call, answer);
  }

  /** One step on in the log, if the code is there. */
  #step(): boolean {
    const step = this.#steps[this.#position];
    if (!step) return false;
    if (step.what === "sent") {
      if (!this.#made.has(step.call)) return false;
      this.#position += 1;
      return true;
    }
    const answer = this.#answers.get(step.call);
    if (!answer) return false;
    this.#answers.delete(step.call);
    this.#recalling = this.#recalling.then(async () => {
      const what = `what call ${step.call.call} had printed`;
      try {
        const result = await this.#options.recall(step.call);
        if (result) answer(result);
        else this.#giveUp(`${what} is not kept any more`);
      } catch (error) {
        this.#giveUp(`${what} cannot be read: ${asError(error).message}`);
      }
    });
    this.#position += 1;
    return true;
  }

  /** One after the other, so that answers keep their order. */
  #recalling: Promise<void> = Promise.resolve();

  #watch(): void {
    clearTimeout(this.#timer);
    const step = this.#steps[this.#position];
    if (!step || this.#gaveUp) return;
    const before = this.#steps[this.#position - 1]?.at ?? this.#options.log.startedAt;
    const patienceMs =
      this.#held.length > 0 ? orderPatienceMs : slownessMs + 2 * Math.max(0, step.at - before);
    this.#timer = setTimeout(() => {
      const what = this.#held.length > 0 ? "made another call instead of" : "did not make again";
      this.#giveUp(`it ${what} its call ${step.call.call}`);
    }, patienceMs);
  }

  #giveUp(reason: string): void {
    if (this.#gaveUp) return;
    this.#gaveUp = true;
    clearTimeout(this.#timer);
    this.#options.giveUp(reason);
  }
}

/** As where its worker was lost: the attempt is given up, and begins anew. */
function notTakenUp(error: unknown): CallResult {
  const message = `it cannot be taken up again: ${asError(error).message}`;
  return {
    outcome: { kind: "faulted", message, workerLost: true },
    durationMs: 0,
    output: new Uint8Array(),
    outputBytes: 0,
  };
}
