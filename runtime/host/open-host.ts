import type { HostOptions, PipedefHost } from "./host.js";
import type { HomeSource } from "./typescript/pool.js";

export { createHostPool, type HomeSource, type HostPool } from "./typescript/pool.js";

/**
 * Picks the host by the pipedef's name. Opening runs none of its code; that is what load is for. The pool,
 * owned and closed by the caller, keeps homes for TypeScript warm.
 */
export async function openHost(options: HostOptions, pool?: HomeSource): Promise<PipedefHost> {
  if (options.pipedef.endsWith(".py")) {
    const { openPythonHost } = await import("./python/host.js");
    return openPythonHost(options);
  }
  const { openTypeScriptHost } = await import("./typescript/host.js");
  return openTypeScriptHost(options, pool);
}
