// The private network of a command and its services. Docker's own pools of addresses are good for some thirty
// networks on a whole machine; these are small ones of a range of our own, so thousands fit side by side.

import { randomBytes, randomInt } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import type Docker from "dockerode";
import { answered, engineWords, statusOf } from "./docker-errors.js";
import { ownerLabel } from "./docker-labels.js";
import { ExecutorFault } from "./executor.js";

/** 198.18.0.0/15 is set aside for measuring networks, so nobody's machines should be there. */
const firstAddress = (198 << 24) | (18 << 16);
const prefix = 27;
const networks = 2 ** (prefix - 15);
/** Places are tried at random. With half of them taken, so many failures in a row never happen. */
const tries = 50;
const removalPausesMs = [100, 500, 2_000, 10_000, 60_000];

export interface NetworkOptions {
  readonly owner: string;
  /** No way out of it. */
  readonly internal: boolean;
  readonly answerWithinMs?: number | undefined;
  readonly log: (line: string) => void;
}

export async function createNetwork(
  docker: Docker,
  { owner, internal, answerWithinMs, log }: NetworkOptions,
): Promise<Docker.Network> {
  for (let left = tries; ; left--) {
    const making = docker.createNetwork({
      Name: `bettertest-${randomBytes(6).toString("hex")}`,
      Driver: "bridge",
      Internal: internal,
      Labels: { [ownerLabel]: owner },
      // Without an address in it this machine is out of reach too.
      ...(internal && { Options: { "com.docker.network.bridge.inhibit_ipv4": "true" } }),
      IPAM: { Config: [{ Subnet: `${addressOf(randomInt(networks))}/${prefix}` }] },
    });
    try {
      return await answered(making, answerWithinMs);
    } catch (error) {
      // An engine that answers too late has made it all the same.
      void making.then((made) => removeNetwork(made, log)).catch(() => {});
      if (left > 1 && /overlap/i.test(engineWords(error))) continue;
      const words = `Docker could not make a network for the services: ${engineWords(error)}`;
      throw new ExecutorFault(words, {
        hint: "see `docker network ls`: are there networks that nobody needs any more?",
        lost: statusOf(error) === null,
      });
    }
  }
}

function addressOf(place: number): string {
  const address = firstAddress + place * 2 ** (32 - prefix);
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}

/** A container that runs already, on no network, comes to one of its own. */
export async function moveToNetwork(
  docker: Docker,
  container: string,
  network: Docker.Network,
): Promise<void> {
  try {
    await answered(docker.getNetwork("none").disconnect({ Container: container }));
    await answered(network.connect({ Container: container }));
  } catch (error) {
    const words = `container ${container} could not be brought to its services: ${engineWords(error)}`;
    throw new ExecutorFault(words, { lost: statusOf(error) === null });
  }
}

/** When nothing is on it any more. Resolves when it is gone, or the engine would not do it at once. Never rejects. */
export async function removeNetwork(
  network: Docker.Network,
  log: (line: string) => void,
): Promise<void> {
  if (await isRemoved(network, () => {})) return;
  void (async () => {
    for (const ms of removalPausesMs) {
      await wait(ms, undefined, { ref: false });
      const last = ms === removalPausesMs.at(-1);
      if (await isRemoved(network, last ? log : () => {})) return;
    }
  })();
}

async function isRemoved(network: Docker.Network, log: (line: string) => void): Promise<boolean> {
  try {
    await answered(network.remove());
    return true;
  } catch (error) {
    if (statusOf(error) === 404) return true;
    log(`could not remove network ${network.id.slice(0, 12)}: ${engineWords(error)}`);
    return false;
  }
}
