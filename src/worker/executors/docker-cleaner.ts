// The program a guard becomes: `docker-cleaner.js OWNER [DOCKER_HOST]`. Bounded, whatever the engine does.

import { setTimeout as wait } from "node:timers/promises";
import { isDead, ownerKey, parseOwnerKey } from "../../lib/owner.js";
import { connect } from "./docker-connect.js";
import { removeLeftovers } from "./docker-leftovers.js";

const limitMs = 60_000;
/** A pipe ends some moments before its process does. */
const deathMs = 20;
/** What a dying worker had asked for, the engine may still be making. */
const againMs = 1_000;
const looks = 3;

const [key = "", dockerHost] = process.argv.slice(2);
const owner = parseOwnerKey(key);
setTimeout(() => process.exit(1), limitMs).unref();

if (owner) {
  while (!isDead(owner)) await wait(deathMs);
  const { docker, agent } = connect(dockerHost);
  for (let empty = 0; empty < looks; ) {
    const found = await removeLeftovers(
      docker,
      () => {},
      (of) => ownerKey(of) === key,
    ).catch(() => 0);
    empty = found === 0 ? empty + 1 : 0;
    if (empty < looks) await wait(againMs);
  }
  agent?.destroy();
}
