// What a command is. Its file declares flags and loads everything heavy inside `run`, so that --help,
// --version and a typing mistake are answered at once.

import type { InferredOptionTypes, Options, PositionalOptions } from "yargs";

/** Numbers are whole unless it says `fraction`. */
export type Flags = Readonly<Record<string, Options & { readonly fraction?: true }>>;

export interface CommandDefinition<F extends Flags, P extends Positionals> {
  readonly name: string;
  /** "run [pipedef]", as yargs reads it. */
  readonly usage: string;
  readonly summary: string;
  readonly flags: F;
  readonly positionals: P;
  readonly examples: readonly (readonly [string, string])[];
  /** Resolves with the exit code. */
  run(args: InferredOptionTypes<F> & InferredPositionals<P>): Promise<number>;
}

export type Positionals = Readonly<Record<string, PositionalOptions>>;
type InferredPositionals<P extends Positionals> = InferredOptionTypes<P>;

/** A command whose flag types are known to itself only. */
export interface Command {
  readonly name: string;
  readonly usage: string;
  readonly summary: string;
  readonly flags: Flags;
  readonly positionals: Positionals;
  readonly examples: readonly (readonly [string, string])[];
  run(args: never): Promise<number>;
}

export function defineCommand<const F extends Flags, const P extends Positionals>(
  definition: CommandDefinition<F, P>,
): Command {
  return definition;
}
