// Why a server did not start, in words that say which port and what to do.

import { type CliError, infrastructureError } from "./cli-error.js";
import { portUse } from "./port-owner.js";

export async function startFailure(
  error: unknown,
  what: {
    readonly role: "boss" | "worker";
    readonly host: string;
    readonly port: number;
    readonly flag: string;
  },
): Promise<CliError> {
  const use = what.port === 0 ? null : await portUse(what.port, connectable(what.host));
  if (!use) return infrastructureError(...wordsOf(error));
  const owner = use.isBettertest
    ? `another bettertest${use.owner ? `, ${use.owner}` : ""}`
    : (use.owner ?? "another program");
  return infrastructureError(
    `the ${what.role} cannot start: port ${what.port} is taken by ${owner}`,
    `Stop that, or use another port: --${what.flag} ${what.port + 10}`,
  );
}

function wordsOf(error: unknown): [message: string, hint?: string] {
  if (!(error instanceof Error)) return [String(error)];
  const hint: unknown = "hint" in error ? error.hint : undefined;
  return typeof hint === "string" ? [error.message, hint] : [error.message];
}

export function infrastructureFailure(error: unknown): CliError {
  return infrastructureError(...wordsOf(error));
}

function connectable(host: string): string {
  return host === "0.0.0.0" || host === "" ? "127.0.0.1" : host === "::" ? "::1" : host;
}
