import { join } from "node:path";

/** Where a boss with this data folder keeps what concerns access. */
export function accessPaths(dataFolder: string) {
  const folder = join(dataFolder, "access");
  return {
    folder,
    token: join(folder, "token"),
    workerToken: join(folder, "worker-token"),
    more: join(folder, "tokens"),
    sessions: join(folder, "sessions.json"),
    audit: join(dataFolder, "audit.log"),
  };
}
