// What no reader may see. Tasks ask for secrets by name, only the worker that runs the command gets the values,
// and wherever text or bytes enter what the boss keeps, every value is masked in all its disguises: also what
// a pipedef prints itself, and also the values that the task did not ask for.

import { randomBytes, scrypt } from "node:crypto";
import { promisify } from "node:util";
import { disguisesOf } from "../../lib/disguises.js";
import { Masker } from "../../lib/masker.js";
import { WordFinder } from "../../lib/word-finder.js";
import type { AskedCommand, CommandRequest, Outcome } from "../../wire/worker.js";

/** Shorter ones would turn ordinary output into asterisks. */
export const shortestSecretBytes = 6;

export type SendableCommand =
  | { readonly ok: true; readonly request: CommandRequest }
  | { readonly ok: false; readonly outcome: Outcome };

/** There are none: whoever comes later has them all. */
const noMark = "none";

export class Secrets {
  readonly #values: ReadonlyMap<string, string>;
  readonly #source: string | undefined;
  readonly #finder: WordFinder | undefined;
  #mark: Promise<string> | undefined;

  /** `source`: the file they are from, for messages. */
  constructor(values: ReadonlyMap<string, string>, source?: string) {
    this.#values = values;
    this.#source = source;
    if (values.size > 0) this.#finder = new WordFinder(wordsOf(values.values()));
  }

  /** Of an asked command, that with the values in place of the names. */
  withValues({
    secrets: names = [],
    source: _,
    build: __,
    filesBuild: ___,
    cache: ____,
    services,
    ...request
  }: AskedCommand): SendableCommand {
    if (names.length === 0 && !services) return { ok: true, request };
    const ofServices = Object.values(services ?? {}).flatMap(({ secrets = [] }) => secrets);
    const missing = [...names, ...ofServices].find((name) => !this.#values.has(name));
    if (missing !== undefined) return { ok: false, outcome: this.#isMissing(missing) };
    const sendable = Object.entries(services ?? {}).map(
      ([name, { secrets, build: ___, ...service }]) => [
        name,
        { ...service, ...this.#named(secrets) },
      ],
    );
    return {
      ok: true,
      request: {
        ...request,
        ...this.#named(names),
        ...(services && { services: Object.fromEntries(sendable) }),
      },
    };
  }

  #named(names: readonly string[] = []): { secrets?: Record<string, string> } {
    if (names.length === 0) return {};
    return { secrets: Object.fromEntries(names.map((name) => [name, this.#values.get(name)!])) };
  }

  valueOf(name: string): string | undefined {
    return this.#values.get(name);
  }

  /** By which another boss knows whether it has them all. It costs as much as a password's, and gives none of them away. */
  mark(): Promise<string> {
    this.#mark ??= this.#markWith(randomBytes(16).toString("hex"));
    return this.#mark;
  }

  async isMarkedBy(mark: string): Promise<boolean> {
    return mark === noMark || (await this.#markWith(mark.split(":")[0]!)) === mark;
  }

  async #markWith(salt: string): Promise<string> {
    if (this.#values.size === 0) return noMark;
    const all = JSON.stringify([...this.#values].sort(([one], [other]) => (one < other ? -1 : 1)));
    const hash = (await promisify(scrypt)(all, salt, 32)) as Buffer;
    return `${salt}:${hash.toString("hex")}`;
  }

  #isMissing(name: string): Outcome {
    const message = `the command asks for the secret ${name}, and there is none of that name`;
    const hint =
      this.#source === undefined
        ? "Start with --secrets-file FILE, which holds lines like NAME=VALUE"
        : `${this.#source} holds: ${[...this.#values.keys()].join(", ") || "none"}`;
    return { kind: "faulted", message, hint };
  }

  /** For one stream of bytes; undefined where there is nothing to mask. */
  masker(): Masker | undefined {
    return this.#finder && new Masker(this.#finder);
  }

  /** What is masked at a place may depend on so many bytes before it. */
  get reach(): number {
    return this.#finder ? Masker.reach(this.#finder) : 0;
  }

  maskText(text: string): string {
    const masker = this.masker();
    if (!masker) return text;
    const bytes = Buffer.from(text);
    const masked = Buffer.concat([masker.push(bytes), masker.release()]);
    return masked.equals(bytes) ? text : masked.toString();
  }

  /** All texts of a value but those by which things are found again. */
  maskTexts<T>(value: T): T {
    return this.#finder ? (this.#maskDeep(value) as T) : value;
  }

  #maskDeep(value: unknown): unknown {
    if (typeof value === "string") return this.maskText(value);
    if (Array.isArray(value)) return value.map((item) => this.#maskDeep(item));
    if (typeof value !== "object" || value === null) return value;
    const masked = Object.entries(value).map(([key, inner]): [string, unknown] => [
      key,
      identifiers.has(key) ? inner : this.#maskDeep(inner),
    ]);
    return Object.fromEntries(masked);
  }
}

export const noSecrets = new Secrets(new Map());

const identifiers: ReadonlySet<string> = new Set([
  ...["type", "kind", "status", "verdict", "origin", "level"],
  // A pipedef whose names hold a secret is not loaded: see masked-host.ts.
  ...["stage", "task", "name", "only"],
  ...["pipelineName", "pipedef", "worker", "sandbox", "execution", "digest"],
]);

function* wordsOf(values: Iterable<string>): Generator<Uint8Array> {
  for (const value of values) {
    // Of several lines, each is a secret too: programs print a key line by line.
    const lines = value.split(/[\r\n]+/).map((line) => line.trim());
    for (const text of new Set([value, value.trim(), ...lines])) {
      if (Buffer.byteLength(text) < shortestSecretBytes) continue;
      for (const disguise of disguisesOf(text)) yield Buffer.from(disguise);
    }
  }
}
