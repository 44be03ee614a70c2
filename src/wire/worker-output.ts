// Copies an execution's output, or its files, from the worker to whoever takes them. A copy that breaks can be begun again:
// it goes on at the byte after the last one handed over.

import type { IncomingMessage } from "node:http";
import { onSilence, type Silence } from "../lib/silence.js";
import { causeOf, refusal, silenceError } from "./connection.js";
import { WorkerBusyError, type WorkerConnection, WorkerError } from "./worker-connection.js";

/** Gets every byte of output once, in order. A promise means: no more until it resolves. */
export type OutputTaker = (bytes: Uint8Array) => Promise<void> | undefined;

/** Whoever asked could not take the output. */
export class TakerError extends Error {}

function untaken(error: unknown): TakerError {
  return new TakerError(`the output could not be kept: ${causeOf(error)}`);
}

/** The worker does not know the execution. */
export class UnknownExecutionError extends Error {
  constructor() {
    super("it does not know the command any more: was it started anew?");
  }
}

export class OutputCopy {
  readonly #worker: WorkerConnection;
  readonly #path: string;
  readonly #take: OutputTaker;
  readonly #heard: () => void;
  #received: number;
  #expected: number | null = null;
  #taking: Promise<void> | undefined;
  #response: IncomingMessage | null = null;
  #silence: Silence | undefined;
  #copied: Promise<void> | null = null;

  constructor(
    worker: WorkerConnection,
    {
      path,
      received,
      take,
      heard,
    }: {
      /** Of the bytes, which take an offset. */
      readonly path: string;
      readonly received: number;
      readonly take: OutputTaker;
      readonly heard: () => void;
    },
  ) {
    this.#worker = worker;
    this.#received = received;
    this.#path = path;
    this.#take = take;
    this.#heard = heard;
  }

  /** So many there will be. While the command ran its events were the sign of life; now the output is. */
  expect(bytes: number): void {
    this.#expected = bytes;
    this.#watchSilence();
  }

  get received(): number {
    return this.#received;
  }

  /** The next bytes, which have come another way. Not while it runs. Resolves when they are taken. */
  give(bytes: Uint8Array): Promise<void> {
    this.#received += bytes.length;
    const before = this.#taking;
    const taken = async () => {
      await before;
      await this.#take(bytes);
    };
    this.#taking = taken().catch((error) => {
      throw error instanceof TakerError ? error : untaken(error);
    });
    return this.#taking;
  }

  /** Copies, from where it broke off, unless it does so already; resolves after the last byte is taken. */
  run(signal: AbortSignal): Promise<void> {
    this.#copied ??= this.#copy(signal)
      .catch((error) => {
        this.#copied = null;
        throw error;
      })
      .finally(() => {
        this.#response = null;
        this.#silence?.stop();
      });
    return this.#copied;
  }

  /** To be called when a run has ended well and `expect` has been. */
  checkLength(): void {
    if (this.#received === this.#expected) return;
    throw new WorkerError(
      `sent ${this.#received} bytes of output, and said they were ${this.#expected}`,
    );
  }

  async #copy(signal: AbortSignal): Promise<void> {
    await this.#taking;
    if (this.#received === this.#expected) return;
    const path = `${this.#path}?offset=${this.#received}`;
    const response = await this.#worker.open({ method: "GET", path, signal });
    if (response.statusCode === 404) throw new UnknownExecutionError();
    if (response.statusCode === 401) throw new Error(`it ${await refusal(response)}`);
    if (response.statusCode === 429) throw new WorkerBusyError(await refusal(response));
    if (response.statusCode !== 200) throw new WorkerError(await refusal(response));
    this.#response = response;
    this.#watchSilence();
    await new Promise<void>((resolve, reject) => {
      const refuse = (error: unknown) => {
        reject(untaken(error));
        response.destroy();
      };
      response.on("data", (chunk: Buffer) => {
        this.#heard();
        this.#received += chunk.length;
        let taking: Promise<void> | undefined;
        try {
          taking = this.#take(chunk);
        } catch (error) {
          return refuse(error);
        }
        if (taking) {
          response.pause();
          this.#taking = taking.then(() => {
            response.resume();
            this.#watchSilence();
          });
          this.#taking.catch(refuse);
        }
        if (this.#expected !== null) this.#watchSilence();
      });
      response.on("end", resolve);
      response.on("error", reject);
      response.on("close", () => reject(new Error("the output was cut off")));
    });
    await this.#taking;
  }

  #watchSilence() {
    this.#silence?.stop();
    const { silenceMs } = this.#worker;
    const response = this.#response;
    if (this.#expected === null || !response || response.isPaused()) return;
    this.#silence = onSilence(silenceMs, () => response.destroy(silenceError(silenceMs)));
  }
}
