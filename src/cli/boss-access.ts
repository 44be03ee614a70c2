// What the commands share that talk to a boss.

import { defaultBossUrl } from "../wire/boss.js";
import { type BossClient, createBossClient } from "../wire/boss-client.js";

export function openBossClient(url: string | undefined): BossClient {
  return createBossClient(url ?? defaultBossUrl);
}

/** For suggested commands: nothing where the default is meant. */
export function bossArgument(url: string | undefined): string {
  return url === undefined ? "" : ` --boss ${url}`;
}

export function printJson(value: object): void {
  process.stdout.write(`${JSON.stringify({ schema: 1, ...value })}\n`);
}
