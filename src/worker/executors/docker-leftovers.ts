// Containers whose owner has died, or has lost them.

import type Docker from "dockerode";
import { type Owner, parseOwnerKey } from "../../lib/owner.js";
import { Removals } from "./removals.js";

/** On every container: the process that made it. */
export const ownerLabel = "bettertest.owner";

/** Resolves to how many there were. */
export async function removeLeftovers(
  docker: Docker,
  log: (line: string) => void,
  isLeft: (owner: Owner) => boolean,
): Promise<number> {
  const found = await docker.listContainers({ all: true, filters: { label: [ownerLabel] } });
  const orphans = found.filter((container) => {
    const owner = parseOwnerKey(container.Labels[ownerLabel] ?? "");
    return owner !== null && isLeft(owner);
  });
  if (orphans.length === 0) return 0;
  const containers = orphans.length === 1 ? "a container" : `${orphans.length} containers`;
  log(`removing ${containers} that a killed worker or engine left behind`);
  const removals = new Removals(log);
  await Promise.all(orphans.map(({ Id }) => removals.remove(docker.getContainer(Id))));
  return orphans.length;
}
