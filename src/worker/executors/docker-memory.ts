// Whether the system has killed something in a container for want of memory. The engine says so too, but hears of
// it by itself, and on a busy machine only after it was asked. The control group's own counter is never late. It
// is there for as long as the container runs, and known where the engine is on this machine.

import { readFileSync } from "node:fs";

const places = (id: string) => [
  `/sys/fs/cgroup/memory/docker/${id}/memory.oom_control`,
  `/sys/fs/cgroup/memory/system.slice/docker-${id}.scope/memory.oom_control`,
  `/sys/fs/cgroup/system.slice/docker-${id}.scope/memory.events`,
  `/sys/fs/cgroup/docker/${id}/memory.events`,
];

/** False also where that is not known. To be called while the container still runs. */
export function hasBeenKilledForMemory(id: string): boolean {
  return places(id).some((path) => {
    try {
      return /^oom_kill [1-9]/m.test(readFileSync(path, "utf8"));
    } catch {
      return false;
    }
  });
}
