// Containers and networks whose owner has died, or has lost them.

import type Docker from "dockerode";
import { type Owner, parseOwnerKey } from "../../lib/owner.js";
import { answered } from "./docker-errors.js";
import { ownerLabel } from "./docker-labels.js";
import { removeNetwork } from "./docker-network.js";
import { Removals } from "./removals.js";

/** Resolves to how many there were. */
export async function removeLeftovers(
  docker: Docker,
  log: (line: string) => void,
  isLeft: (owner: Owner) => boolean,
): Promise<number> {
  const filters = { label: [ownerLabel] };
  const isOrphan = ({ Labels }: { readonly Labels?: Record<string, string> | undefined }) => {
    const owner = parseOwnerKey(Labels?.[ownerLabel] ?? "");
    return owner !== null && isLeft(owner);
  };
  const containers = (await docker.listContainers({ all: true, filters })).filter(isOrphan);
  if (containers.length > 0) {
    const what = containers.length === 1 ? "a container" : `${containers.length} containers`;
    log(`removing ${what} that a killed worker or engine left behind`);
  }
  const remove = (id: string): Promise<void> =>
    answered(docker.getContainer(id).remove({ force: true, v: true }));
  const removals = new Removals({ remove, log });
  await Promise.all(containers.map(({ Id }) => removals.remove(Id)));
  // Only now is nothing on them any more.
  const networks = (await docker.listNetworks({ filters })).filter(isOrphan);
  await Promise.all(networks.map(({ Id }) => removeNetwork(docker.getNetwork(Id), log)));
  return containers.length + networks.length;
}
