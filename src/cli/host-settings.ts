// What flags say of a pipedef's home; and that home, begun before anything else is loaded.

import { createHostPool, type HostPool } from "../../runtime/host/typescript/pool.js";
import { usageError } from "./cli-error.js";
import { sizeOf } from "./size-of.js";

export interface HostFlags {
  readonly "pipedef-host": "thread" | "process";
  readonly "allow-env"?: readonly string[] | undefined;
  readonly "pipedef-memory": string;
}

export function hostSettings(flags: HostFlags) {
  return {
    hostHome: flags["pipedef-host"],
    env: allowedEnv(flags["allow-env"] ?? []),
    pipedefMemoryBytes: sizeOf("pipedef-memory", flags["pipedef-memory"]),
  };
}

function allowedEnv(names: readonly string[]): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of names.flatMap((list) => list.split(","))) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      throw usageError(
        `--allow-env ${name}: that is no name of a variable`,
        "Only the name: --allow-env HOME",
      );
    }
    // One that is not set is no error: the pipedef sees it as its author's own machine would.
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}

/** It starts while this program loads what else it needs. Whoever gets the pool closes it. */
export function startHomeEarly(
  pipedef: string,
  flags: HostFlags,
  { spares }: { readonly spares: number },
): HostPool {
  const { hostHome: home, pipedefMemoryBytes: memoryBytes } = hostSettings(flags);
  const homes = createHostPool({ spares });
  if (!pipedef.endsWith(".py")) homes.warm({ home, memoryBytes });
  return homes;
}
