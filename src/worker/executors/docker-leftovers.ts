// Containers whose owner has died, or has lost them.

import type Docker from "dockerode";
import { type Owner, parseOwnerKey } from "../../lib/owner.js";
import { remove } from "./docker-container.js";

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
  await Promise.all(orphans.map(({ Id }) => remove(docker.getContainer(Id), log)));
  return orphans.length;
}
