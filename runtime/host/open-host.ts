import type { HostOptions, PipedefHost } from "./host.js";

/** Picks the host by the pipedef's name. Opening runs none of its code; that is what load is for. */
export async function openHost(options: HostOptions): Promise<PipedefHost> {
  if (options.pipedef.endsWith(".py")) {
    const { openPythonHost } = await import("./python/host.js");
    return openPythonHost(options);
  }
  const { openTypeScriptHost } = await import("./typescript/host.js");
  return openTypeScriptHost(options);
}
