// The tie to the engine: whether it is there, and what it says of our containers.
//
//   there ──its event stream ends──► away ──answers, leftovers removed──► there
//
// One stream of the engine's events stays open for as long as the engine lives. So its death is noticed at
// once and without asking, and each of its lives is told from the next: nothing begun in one is believed or
// continued in another.

import { setMaxListeners } from "node:events";
import { watch } from "node:fs";
import { basename, dirname } from "node:path";
import type { Readable } from "node:stream";
import type Docker from "dockerode";
import * as z from "zod";
import { orAborted, within } from "../../lib/or-else.js";
import { jittered } from "../../wire/worker-connection.js";
import { answered, engineWords } from "./docker-errors.js";
import { ExecutorFault } from "./executor.js";

/** From one start of the engine to its end. */
export interface EngineLife {
  /** Rejects with an ExecutorFault as soon as the engine is lost, whatever becomes of the work. */
  during<T>(work: Promise<T>): Promise<T>;
  readonly isOver: boolean;
  /** Throws what `during` rejects with. */
  throwIfOver(): void;
  end(reason: unknown): void;
  /** To be called before the container is started. */
  follow(container: string): ContainerNews;
}

export interface ContainerNews {
  /** The signals that the engine has sent it so far, for us or for others. */
  readonly signals: readonly string[];
  /** Resolves when the engine has told that it ended, and so all that came before. */
  readonly died: Promise<void>;
  /** Resolves when its health check has passed. */
  readonly healthy: Promise<void>;
  forget(): void;
}

export interface EngineLinkOptions {
  readonly docker: Docker;
  /** As people know it. */
  readonly address: string;
  /** `name=value` of the label of our containers. */
  readonly label: string;
  /** Rejects where the engine does not take new connections. */
  readonly knock: () => Promise<unknown>;
  /** Runs after each return of the engine, before anything is begun there. */
  readonly returned: () => Promise<void>;
}

const firstRetryMs = 100;
const longestRetryMs = 5_000;
const knockWithinMs = 10_000;

export class EngineLink {
  readonly #options: EngineLinkOptions;
  readonly #closing = new AbortController();
  #life: Life | null = null;
  #problem: string | null = null;
  #listener: (problem: string | null) => void = () => {};

  private constructor(options: EngineLinkOptions) {
    this.#options = options;
  }

  /** Rejects where the engine does not answer. */
  static async open(options: EngineLinkOptions): Promise<EngineLink> {
    const link = new EngineLink(options);
    void link.#keep(await link.#begin());
    return link;
  }

  /** Why there is no engine now, in words; null: there is. Told now and at each change. */
  onProblem(listener: (problem: string | null) => void): void {
    this.#listener = listener;
    listener(this.#problem);
  }

  /** Throws an ExecutorFault where there is none. */
  life(): EngineLife {
    if (this.#life) return this.#life;
    throw new ExecutorFault(this.#problem ?? "the Docker engine is away", { lost: true });
  }

  /**
   * To be asked after a fault: false where the engine is going away. One that is told to stop takes no new
   * connections, but serves the old ones while it ends its containers; its life is over from now on.
   */
  async isSound(life: EngineLife): Promise<boolean> {
    try {
      await within(knockWithinMs, this.#options.knock(), () => {
        throw new Error("it takes no new connections");
      });
    } catch (error) {
      life.end(error);
    }
    return !life.isOver;
  }

  close(): void {
    this.#closing.abort();
    this.#life?.end(new Error("closed"));
  }

  async #begin(): Promise<Life> {
    const { docker, label, address } = this.#options;
    const filters = { label: [label], event: ["kill", "die", "health_status"] };
    // All that it remembers, so that nothing is missed between its answer and its first event.
    const stream = await answered(docker.getEvents({ since: 1, filters }));
    return new Life(stream as Readable, address);
  }

  async #keep(first: Life): Promise<void> {
    let life = first;
    while (!this.#closing.signal.aborted) {
      this.#life = life;
      this.#tell(null);
      const why = await life.over;
      this.#life = null;
      if (this.#closing.signal.aborted) return;
      this.#tell(why);
      const next = await this.#untilBack();
      if (!next) return;
      life = next;
    }
    life.end(new Error("closed"));
  }

  /** Null: closed meanwhile. */
  async #untilBack(): Promise<Life | null> {
    const { signal } = this.#closing;
    for (let pauseMs = firstRetryMs; ; pauseMs = Math.min(pauseMs * 2, longestRetryMs)) {
      if (await this.#sign(jittered(pauseMs))) pauseMs = firstRetryMs;
      if (signal.aborted) return null;
      try {
        const life = await this.#begin();
        await life.during(this.#options.returned()).catch((error) => {
          life.end(error);
          throw error;
        });
        return life;
      } catch {
        // Not yet.
      }
    }
  }

  /** Resolves when it is time to try again: true when the engine's socket has just been made. */
  #sign(pauseMs: number): Promise<boolean> {
    const { signal } = this.#closing;
    const path = /^unix:\/\/(.+)$/.exec(this.#options.address)?.[1];
    return new Promise((resolve) => {
      const wake = (made: boolean) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", stop);
        watcher?.close();
        resolve(made);
      };
      const stop = () => wake(false);
      const timer = setTimeout(stop, pauseMs);
      signal.addEventListener("abort", stop);
      const watcher = path === undefined ? null : watchFor(path, () => wake(true));
    });
  }

  #tell(problem: string | null) {
    this.#problem = problem;
    this.#listener(problem);
  }
}

function watchFor(path: string, appeared: () => void) {
  try {
    const watcher = watch(dirname(path), (_, name) => {
      if (name === basename(path)) appeared();
    });
    watcher.on("error", () => watcher.close());
    return watcher;
  } catch {
    // The folder may be gone too; then time alone tells.
    return null;
  }
}

const EngineEvent = z.object({
  Action: z.string(),
  Actor: z.object({ ID: z.string(), Attributes: z.record(z.string(), z.string()) }),
});

interface Followed {
  readonly signals: string[];
  readonly died: () => void;
  readonly healthy: () => void;
}

class Life implements EngineLife {
  /** Resolves to the reason, in words. */
  readonly over: Promise<string>;
  readonly #stream: Readable;
  readonly #address: string;
  #over: (words: string) => void = () => {};
  readonly #followed = new Map<string, Followed>();
  readonly #lost = new AbortController();

  constructor(stream: Readable, address: string) {
    this.#stream = stream;
    this.#address = address;
    // Whatever is under way listens, and there is no leak in that.
    setMaxListeners(0, this.#lost.signal);
    this.over = new Promise((resolve) => {
      this.#over = resolve;
    });
    void this.#read().then((cause) => this.#lose(cause));
  }

  get isOver(): boolean {
    return this.#lost.signal.aborted;
  }

  throwIfOver(): void {
    this.#lost.signal.throwIfAborted();
  }

  async during<T>(work: Promise<T>): Promise<T> {
    return orAborted(work, this.#lost.signal);
  }

  follow(container: string): ContainerNews {
    const signals: string[] = [];
    let tellHealth = () => {};
    const healthy = new Promise<void>((resolve) => {
      tellHealth = resolve;
    });
    const died = new Promise<void>((resolve) => {
      this.#followed.set(container, { signals, died: resolve, healthy: tellHealth });
    });
    return { signals, died, healthy, forget: () => this.#followed.delete(container) };
  }

  end(reason: unknown): void {
    this.#lose(engineWords(reason));
    this.#stream.destroy();
  }

  #lose(cause: string) {
    if (this.isOver) return;
    const words = `the Docker engine at ${this.#address} is away (${cause})`;
    this.#lost.abort(new ExecutorFault(words, { lost: true }));
    this.#over(words);
  }

  /** Resolves to why it ended. */
  async #read(): Promise<string> {
    let unfinished = "";
    try {
      for await (const chunk of this.#stream) {
        const lines = `${unfinished}${chunk}`.split("\n");
        unfinished = lines.pop()!;
        for (const line of lines) this.#hear(line);
      }
      return "it ended";
    } catch (error) {
      return engineWords(error);
    }
  }

  #hear(line: string) {
    const event = EngineEvent.safeParse(parseJson(line));
    if (!event.success) return;
    const { Action, Actor } = event.data;
    const followed = this.#followed.get(Actor.ID);
    if (Action === "kill") followed?.signals.push(Actor.Attributes.signal ?? "?");
    else if (Action === "die") followed?.died();
    else if (Action === "health_status: healthy") followed?.healthy();
  }
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
