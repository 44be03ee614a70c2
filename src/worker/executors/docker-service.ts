// One service of a command: its container, what it prints, and how it ends.

import type { Readable } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";
import type Docker from "dockerode";
import { orAborted, within } from "../../lib/or-else.js";
import { formatDuration } from "../../lib/units.js";
import { createDemux } from "./demux.js";
import { answered, engineWords, statusOf } from "./docker-errors.js";
import type { ContainerNews, EngineLife } from "./docker-link.js";
import { whenReady } from "./docker-ready.js";
import { ExecutorFault, type OutputSink, type SandboxExit } from "./executor.js";
import { LastLines } from "./last-lines.js";
import type { Removals } from "./removals.js";

/** Of a service that is killed, what it wrote last is read within moments. */
const lastWordsMs = 5_000;
const shownLines = 10;
/** From what the death of a service does to its command to the engine's word of it. */
export const newsMustComeWithinMs = 500;
/** Of a process that SIGKILL has ended. */
const killedCode = 137;

export interface ServiceDeps {
  readonly life: EngineLife;
  readonly removals: Removals;
  readonly log: (line: string) => void;
  /** A limit, so that it is not the machine that has no more for it. */
  readonly hasOwnMemory: boolean;
}

interface ReadyOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly progress: (text: string) => void;
}

export class Service {
  readonly name: string;
  readonly news: ContainerNews;
  readonly #container: Docker.Container;
  readonly #deps: ServiceDeps;
  readonly #said = new LastLines();
  #output: Readable | null = null;
  hasDied = false;
  /** By us. */
  #isKilled = false;
  #copied: Promise<void> = Promise.resolve();

  constructor(name: string, container: Docker.Container, deps: ServiceDeps) {
    this.name = name;
    this.#container = container;
    this.#deps = deps;
    this.news = deps.life.follow(container.id);
    void this.news.died.then(() => {
      this.hasDied = true;
    });
  }

  async start(sink: OutputSink): Promise<void> {
    const { life } = this.#deps;
    try {
      // Before the start: what a container writes while nobody is attached is lost.
      const options = { stream: true, stdout: true, stderr: true };
      const output = await life.during(answered(this.#container.attach(options)));
      this.#output = output as unknown as Readable;
      this.#copied = this.#copy(this.#output, sink);
      await life.during(answered(this.#container.start()));
    } catch (error) {
      if (error instanceof ExecutorFault) throw error;
      throw this.#fault(`could not be started: ${engineWords(error)}`, {
        lost: statusOf(error) === null,
      });
    }
  }

  async #copy(output: Readable, sink: OutputSink): Promise<void> {
    const payloadOf = createDemux();
    try {
      for await (const chunk of output) {
        const payload = payloadOf(chunk as Buffer);
        if (payload.length === 0) continue;
        this.#said.push(payload);
        const taking = sink(payload);
        if (taking) await taking;
      }
    } catch (error) {
      if (!this.#deps.life.isOver)
        this.#deps.log(`lost output of service "${this.name}": ${engineWords(error)}`);
    }
  }

  async untilReady(
    ready: Parameters<typeof whenReady>[1]["ready"] | "started",
    { timeoutMs, signal, progress }: ReadyOptions,
  ): Promise<void> {
    if (ready === "started") return;
    const { life } = this.#deps;
    const waiting = whenReady(this.#container, { ready, news: this.news });
    const dead = this.news.died.then(() => "dead" as const);
    try {
      const asked = waiting.ready.then(
        () => "ready" as const,
        // What asks it ends with it; the engine's word of that is on its way.
        async (error: unknown) => (await soon(dead)) ?? Promise.reject(error),
      );
      const known = within(timeoutMs, Promise.race([asked, dead]), () => "late" as const);
      const end = await life.during(orAborted(known, signal));
      if (end === "ready") return;
      if (end === "late") {
        const why = await waiting.why();
        throw this.#fault(`was not ready within ${formatDuration(timeoutMs)}: ${why}`, {
          hint: "does it need longer? Give it `timeout`; what it printed is kept beside the task's output",
        });
      }
      throw await this.#deathBefore("it was ready");
    } catch (error) {
      throw signal.aborted ? error : this.#withLastLines(error, progress);
    }
  }

  /** Where it has ended in the meantime; with 0 it may have done what it was for. */
  async mustLive(progress: (text: string) => void): Promise<void> {
    if (!this.hasDied || (await this.exit()).exitCode === 0) return;
    throw this.#withLastLines(await this.#deathBefore("the command began"), progress);
  }

  async #deathBefore(what: string): Promise<ExecutorFault> {
    const { exitCode, outOfMemory } = await this.exit();
    await soon(this.#copied);
    if (this.news.signals.length > 0) return this.#endedFromOutside();
    const how = outOfMemory ? "ran out of memory" : `ended with exit code ${exitCode}`;
    return this.#fault(`${how} before ${what}`);
  }

  #withLastLines(error: unknown, progress: (text: string) => void): unknown {
    if (!(error instanceof ExecutorFault) || error.lost) return error;
    const fault = error.message.startsWith("service ")
      ? error
      : this.#fault(error.message, { hint: error.hint });
    progress(this.#report(fault.message));
    const last = this.#said.lines(1)[0];
    if (last === undefined) return fault;
    return new ExecutorFault(`${fault.message}; it last printed: ${last}`, { hint: fault.hint });
  }

  #fault(words: string, options: { hint?: string | undefined; lost?: boolean } = {}) {
    return new ExecutorFault(`service "${this.name}" ${words}`, options);
  }

  #report(message: string): string {
    const lines = this.#said.lines(shownLines);
    const shown = lines.length === 0 ? ["(it has printed nothing)"] : lines;
    return [message, ...shown.map((line) => `  ${this.name} | ${line}`), ""].join("\n");
  }

  /** When it has died. */
  async exit(): Promise<SandboxExit> {
    const { life } = this.#deps;
    const { State } = await life.during(answered(this.#container.inspect()));
    return { exitCode: State.ExitCode, outOfMemory: State.OOMKilled };
  }

  /** Why nothing can be said of a command that it failed; null: it has lived, or has ended by itself. Never rejects. */
  async lost(): Promise<ExecutorFault | null> {
    const { life, hasOwnMemory } = this.#deps;
    try {
      const isTold = await life.during(soon(this.news.died.then(() => true)));
      if (!isTold) return null;
      // Somebody may have removed it.
      const look = () =>
        this.exit().catch(() => {
          life.throwIfOver();
          return null;
        });
      let exit = await look();
      if (exit?.exitCode === killedCode && !exit.outOfMemory && !this.#isKilled) {
        // The engine hears that memory was short by itself, and on a busy machine later than of the end.
        await wait(newsMustComeWithinMs);
        exit = await look();
      }
      if (exit?.outOfMemory && !hasOwnMemory) {
        return this.#fault("was killed, since the worker's machine ran out of memory", {
          hint: "give it a limit (memory), or all services of a worker one with --max-memory",
          lost: true,
        });
      }
      return this.#wasEndedFromOutside(exit?.exitCode ?? killedCode)
        ? this.#endedFromOutside()
        : null;
    } catch (error) {
      return error instanceof ExecutorFault ? error : null;
    }
  }

  /** One that we have killed may have been dead by then, and the engine did not know yet. */
  #wasEndedFromOutside(exitCode: number): boolean {
    const { signals } = this.news;
    if (!this.#isKilled) return signals.length > 0;
    const kills = signals.filter((signal) => signal === "9").length;
    return signals.length > 1 && (kills > 1 || exitCode !== killedCode);
  }

  #endedFromOutside(): ExecutorFault {
    return this.#fault(`was ended from outside (signal ${this.news.signals[0]})`, { lost: true });
  }

  /** Resolves when all that it wrote has been taken. Never rejects. */
  async end(): Promise<void> {
    if (this.#deps.life.isOver) return this.#drop();
    if (this.hasDied) {
      await soon(this.#copied);
      return this.#drop();
    }
    this.#isKilled = true;
    const failed = (error: unknown) => {
      this.#isKilled = false;
      // It has ended by itself, or never started.
      if ([404, 409].includes(statusOf(error) ?? 0)) return;
      this.#deps.log(`could not end service "${this.name}": ${engineWords(error)}`);
    };
    await soon(
      this.#container
        .kill()
        .then(() => {}, failed)
        .then(() => this.#copied),
    );
    this.#drop();
  }

  #drop(): void {
    this.#output?.destroy();
  }

  async remove(): Promise<void> {
    this.news.forget();
    if (!this.#deps.life.isOver) {
      await this.#deps.removals.remove(this.#container.id);
      await soon(this.#copied);
    }
    this.#drop();
  }
}

/** Its value, or undefined where that takes too long. */
function soon<T>(work: Promise<T>): Promise<T | undefined> {
  return within(lastWordsMs, work, () => undefined);
}
