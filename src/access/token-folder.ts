// The tokens of one boss besides its main one: a file each, with the token's hash.

import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { hashToken, makeToken, readPrivateFile, writePrivateFile } from "./token-file.js";

export type Access = "full" | "read";

const TokenRecord = z.object({
  name: z.string(),
  access: z.enum(["full", "read"]),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  createdAt: z.number(),
});
export type TokenRecord = z.infer<typeof TokenRecord>;

export interface StoredToken extends TokenRecord {
  readonly id: string;
}

const shortages: readonly string[] = ["EMFILE", "ENFILE", "ENOMEM"];

/**
 * What cannot be read is reported and left out: a damaged file must not open the door, nor shut it for all.
 * Throws where this machine has nothing left to read it with.
 */
export function listTokens(folder: string, complain: (problem: string) => void): StoredToken[] {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return readdirSync(folder)
    .filter((name) => /^[0-9a-f]{8}\.json$/.test(name))
    .flatMap((name) => {
      const path = join(folder, name);
      try {
        const record = TokenRecord.parse(JSON.parse(readPrivateFile(path)));
        return [{ ...record, id: name.slice(0, 8) }];
      } catch (error) {
        const cause = error instanceof Error ? (error.cause ?? error) : error;
        if (cause instanceof Error && "code" in cause && shortages.includes(String(cause.code)))
          throw error;
        complain(`${path} is no token: ${error instanceof Error ? error.message : error}`);
        return [];
      }
    })
    .sort((one, other) => one.createdAt - other.createdAt);
}

/** The token itself is in the answer alone: nothing can show it again. */
export function createToken(
  folder: string,
  { name, access, now }: { readonly name: string; readonly access: Access; readonly now: number },
): { readonly id: string; readonly token: string } {
  const id = randomBytes(4).toString("hex");
  const token = makeToken();
  const record: TokenRecord = { name, access, hash: hashToken(token), createdAt: now };
  writePrivateFile(join(folder, `${id}.json`), `${JSON.stringify(record)}\n`, { replace: false });
  return { id, token };
}

export function revokeToken(folder: string, id: string): void {
  rmSync(join(folder, `${id}.json`));
}
