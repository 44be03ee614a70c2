import { exitCodes } from "../model/exit-code.js";

/** An error that is expected: said in one sentence and a hint, never with a stack. */
export class CliError extends Error {
  readonly hint: string | undefined;
  readonly exitCode: number;

  constructor(
    message: string,
    options: { readonly hint?: string; readonly exitCode?: number } = {},
  ) {
    super(message);
    this.name = "CliError";
    this.hint = options.hint;
    this.exitCode = options.exitCode ?? exitCodes.usage;
  }
}

export function usageError(message: string, hint?: string): CliError {
  return new CliError(message, { exitCode: exitCodes.usage, ...(hint && { hint }) });
}

export function infrastructureError(message: string, hint?: string): CliError {
  return new CliError(message, { exitCode: exitCodes.errored, ...(hint && { hint }) });
}
