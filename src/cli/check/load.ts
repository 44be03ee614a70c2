// Loads a pipedef without running any of its tasks.

import type { LoadResult } from "../../../runtime/host/host.js";
import { createHostPool, openHost } from "../../../runtime/host/open-host.js";
import { engineDefaults } from "../../boss/engine-options.js";
import { cacheFolder } from "../cache-folder.js";
import { type HostFlags, hostSettings } from "../host-settings.js";

export async function loadPipedef(
  pipedef: string,
  flags: HostFlags,
  onLoadOutput: (bytes: Uint8Array) => void,
): Promise<LoadResult> {
  const { hostHome, env, pipedefMemoryBytes } = hostSettings(flags);
  const pool = createHostPool({ spares: 0 });
  const host = await openHost(
    {
      pipedef,
      home: hostHome,
      env,
      cacheFolder: cacheFolder(),
      memoryBytes: pipedefMemoryBytes,
      stallTimeoutMs: engineDefaults.stallTimeoutMs,
      onLoadOutput,
    },
    pool,
  );
  try {
    return await host.load();
  } finally {
    await host.close();
    await pool.close();
  }
}
