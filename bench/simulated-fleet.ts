// A fleet of workers that does nothing, in virtual time: what remains is what the scheduler itself costs.

import type { Outcome } from "../src/wire/worker.js";
import { nothingLeft, type WorkerClient, type WorkerState } from "../src/wire/worker-client.js";

export interface SimulatedFleet {
  readonly urls: readonly string[];
  /** Of the virtual clock. */
  now(): number;
  connect(url: string): WorkerClient;
  /** How many were sent; the text of one says how many milliseconds it takes. */
  readonly commands: number;
  /** Until `ended`. */
  drive(ended: Promise<unknown>): Promise<void>;
}

export function simulateFleet({
  workers,
  slots,
}: {
  readonly workers: number;
  readonly slots: number;
}): SimulatedFleet {
  let nowMs = 0;
  let commands = 0;
  const due = new Map<number, (() => void)[]>();
  const times: number[] = [];

  function at(ms: number, wake: () => void): void {
    const there = due.get(ms);
    if (there) return void there.push(wake);
    due.set(ms, [wake]);
    pushHeap(times, ms);
  }

  const connected: WorkerState = {
    status: "connected",
    problem: null,
    info: {
      version: "0",
      executor: "simulated",
      isolated: true,
      slots,
      running: 0,
      queued: 0,
      ready: 0,
      problem: null,
      kept: [],
    },
  };

  return {
    urls: Array.from({ length: workers }, (_, n) => `http://worker-${n}:9009`),
    now: () => nowMs,
    get commands() {
      return commands;
    },
    connect: (url) => ({
      url,
      async execute({ command }, io) {
        commands += 1;
        io.started(`sandbox-${commands}`);
        await new Promise<void>((resolve) => at(nowMs + Number(command), resolve));
        const outcome: Outcome = { kind: "exited", exitCode: 0 };
        await io.settled?.(outcome, nothingLeft);
        return outcome;
      },
      async watch(listener) {
        await Promise.resolve();
        listener(connected);
      },
      instance: undefined,
      resume: unasked,
      info: unasked,
      sendTree: unasked,
      fetchGit: unasked,
      readTree: unasked,
      readContent: unasked,
      kept: {
        get: unasked,
        release: unasked,
        openTerminal: unasked,
        output: unasked,
        type: unasked,
        resize: unasked,
      },
      renew: async () => {},
      expect: async () => {},
      end: async () => {},
      close() {},
    }),
    async drive(ended) {
      let over = false;
      void ended.finally(() => {
        over = true;
      });
      while (!over) {
        // All that follows from what has happened so far comes first; then the clock moves on.
        await new Promise((resolve) => setImmediate(resolve));
        const next = popHeap(times);
        if (next === undefined) continue;
        nowMs = next;
        const woken = due.get(next)!;
        due.delete(next);
        for (const wake of woken) wake();
      }
    },
  };
}

function unasked(): never {
  throw new Error("no task of the simulation asks for this");
}

function pushHeap(heap: number[], value: number): void {
  let at = heap.push(value) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (heap[parent]! <= value) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = value;
}

function popHeap(heap: number[]): number | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return first;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child += 1;
    if (heap[child]! >= last) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = last;
  return first;
}
