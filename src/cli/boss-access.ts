// What the commands share that talk to a boss.

import { readTokenFile } from "../access/token-file.js";
import { harmlessText } from "../terminal/text.js";

import { type BossClient, createBossClient, normalizeBossUrl } from "../wire/boss-client.js";
import { readTrusted } from "../wire/tls.js";
import { defaultBossUrl } from "../wire/well-known.js";
import { usageError } from "./cli-error.js";
import { localToken } from "./data-folder.js";

export interface BossAccess {
  readonly boss?: string | undefined;
  readonly "token-file"?: string | undefined;
  readonly "tls-ca"?: string | undefined;
}

export function openBossClient(access: BossAccess): BossClient {
  const url = normalizeBossUrl(access.boss ?? defaultBossUrl);
  const tokenFile = access["token-file"];
  const caFile = access["tls-ca"];
  try {
    const token = tokenFile === undefined ? tokenOfLocalBoss(url) : readTokenFile(tokenFile);
    return createBossClient(url, {
      ...(token !== undefined && { token }),
      ...(caFile !== undefined && { ca: readTrusted(caFile) }),
      onAway,
    });
  } catch (error) {
    throw usageError(error instanceof Error ? error.message : String(error));
  }
}

function onAway(message: string): void {
  process.stderr.write(`bettertest: ${harmlessText(message)}\n`);
}

/** Only for this machine: a token must not go anywhere else by itself. */
function tokenOfLocalBoss(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined;
  const { hostname, port, protocol } = new URL(url);
  if (!["localhost", "127.0.0.1", "[::1]"].includes(hostname)) return undefined;
  return localToken("boss", Number(port || (protocol === "https:" ? 443 : 80)));
}

export function printJson(value: object): void {
  process.stdout.write(`${JSON.stringify({ schema: 1, ...value })}\n`);
}
