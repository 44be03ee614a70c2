// Whether a container has wanted more processes than it may have. Docker does not say; the system counts, in
// a file of the container's control group, which is there for as long as the container runs. Where the engine
// is not on this machine, or keeps its groups elsewhere, that is not known.

import { existsSync, type FSWatcher, readFileSync, watch } from "node:fs";
import { dirname, join } from "node:path";

export interface PidsWatch {
  readonly hit: boolean;
  /** Nothing runs in it but its first process, as far as is known. */
  isAlone(): boolean;
  /** To be called once it is started. */
  begin(): void;
  /** To be called while it still runs, when the end is near. */
  look(): void;
  end(): void;
}

const firstVersion = "/sys/fs/cgroup/pids/";
const places = (id: string) => [
  `${firstVersion}docker/${id}/pids.events`,
  `${firstVersion}system.slice/docker-${id}.scope/pids.events`,
  `/sys/fs/cgroup/system.slice/docker-${id}.scope/pids.events`,
  `/sys/fs/cgroup/docker/${id}/pids.events`,
];

export function watchPids(id: string): PidsWatch {
  let path: string | undefined;
  let watcher: FSWatcher | undefined;
  let hit = false;
  const look = () => {
    if (path === undefined || hit) return;
    try {
      hit = /^max [1-9]/m.test(readFileSync(path, "utf8"));
    } catch {
      // It has ended, and the group with it.
    }
    if (hit) watcher?.close();
  };
  return {
    get hit() {
      return hit;
    },
    begin() {
      path = places(id).find(existsSync);
      // Version 2 announces each change; version 1 does not.
      if (path === undefined || path.startsWith(firstVersion)) return;
      try {
        watcher = watch(path, look);
        watcher.on("error", () => watcher?.close());
      } catch {
        // It has ended already, or this system has no more watches to give.
      }
    },
    look,
    isAlone() {
      if (path === undefined) return false;
      try {
        return readFileSync(join(dirname(path), "pids.current"), "utf8").trim() === "1";
      } catch {
        return false;
      }
    },
    end: () => watcher?.close(),
  };
}
