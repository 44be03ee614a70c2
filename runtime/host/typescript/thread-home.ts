// A thread of the boss's own process: started fastest, safe against accidents, not against malice.

import { once } from "node:events";
import { MessageChannel, Worker } from "node:worker_threads";
import { ChildrenOfHome } from "./children-of-home.js";
import type { Home } from "./home.js";
import type { ThreadData } from "./inside/thread-link.js";
import { nodeFlags } from "./node-flags.js";
import { ownBytes } from "./own-bytes.js";
import { outOfMemory } from "./process-exit.js";
import { createCredits, creditsTaken } from "./thread-credits.js";

/** Node's own limit, three times 16 MiB, lets what is not used any more lie there for long. Most tasks only wait for commands. */
const maxYoungGenerationSizeMb = 12;

export function startThreadHome({ memoryBytes }: { readonly memoryBytes: number }): Home {
  const { port1: port, port2 } = new MessageChannel();
  const credits = createCredits();
  const taken = creditsTaken(credits);
  const workerData: ThreadData = { port: port2, credits };
  const thread = new Worker(new URL("./inside/thread.js", import.meta.url), {
    workerData,
    transferList: [port2],
    env: {},
    argv: [],
    execArgv: [...nodeFlags],
    stdin: false,
    stdout: true,
    stderr: true,
    resourceLimits: {
      maxOldGenerationSizeMb: Math.max(16, Math.floor(memoryBytes / 2 ** 20)),
      maxYoungGenerationSizeMb,
    },
  });
  const settling = new Settling(thread);
  const children = new ChildrenOfHome(() => home.send({ type: "end-children" }));
  let gone = false;
  const home: Home = {
    send(head, body) {
      if (head.type === "prepare") settling.begin();
      port.postMessage({ head, body: body ? ownBytes(body) : null });
    },
    receive(handler) {
      port.on(
        "message",
        ({ cost, head, body }: { cost: number; head: unknown; body: Uint8Array | null }) => {
          const done = children.notice(head) ? undefined : handler(head, body ?? new Uint8Array(0));
          if (done) done.then(() => taken.release(cost));
          else taken.release(cost);
        },
      );
    },
    get waitsForBoss() {
      return taken.exhausted;
    },
    onRawOutput: () => {},
    died: new Promise((resolve) => {
      thread.once("error", (error) => resolve(describeError(error, memoryBytes)));
      thread.once("exit", (code) => {
        gone = true;
        resolve(`the pipedef's thread ended by itself, with exit code ${code}`);
      });
    }),
    async end() {
      if (!gone) await children.end();
      // Those it could not end by itself, because it is in an endless loop or gone.
      for (const pid of children.alive) killIfAlive(pid);
      await Promise.race([settling.end(), home.died]);
      await thread.terminate();
      port.close();
    },
  };
  for (const stream of [thread.stdout, thread.stderr]) {
    stream.on("data", (bytes: Uint8Array) => home.onRawOutput(bytes));
  }
  return home;
}

const settleMs = 2000;

/** A thread that is ended while it loads our own files leaves them open in this process. It says when it has loaded them. */
class Settling {
  readonly #thread: Worker;
  #begun = 0;

  constructor(thread: Worker) {
    this.#thread = thread;
    thread.on("message", (message) => {
      // A pipedef may post what it likes.
      if (message === "settled" && this.#begun > 0) this.#begun -= 1;
    });
    this.begin();
  }

  begin(): void {
    this.#begun += 1;
  }

  /** Resolves after a while, whatever happens. */
  async end(): Promise<void> {
    const signal = AbortSignal.timeout(settleMs);
    while (this.#begun > 0 && !signal.aborted) {
      await once(this.#thread, "message", { signal }).catch(() => {});
    }
  }
}

function describeError(error: unknown, memoryBytes: number): string {
  if (error instanceof Error && Reflect.get(error, "code") === "ERR_WORKER_OUT_OF_MEMORY") {
    return outOfMemory(memoryBytes);
  }
  return `the pipedef's thread failed: ${error instanceof Error ? error.message : String(error)}`;
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It is gone already.
  }
}
