// Who is logged in, in browsers. Kept as hashes in a file, so that a restart of the boss logs nobody out;
// each belongs to the token it was opened with, and ends with it.

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import * as z from "zod";
import type { Log } from "../lib/log.js";
import { hashToken, writePrivateFile } from "./token-file.js";

const Session = z.object({
  /** Of the id in the cookie. */
  hash: z.string(),
  /** Hash of the token it was opened with. */
  token: z.string(),
  expiresAt: z.number(),
});
type Session = z.infer<typeof Session>;

export const sessionLifeMs = 30 * 24 * 3_600_000;
/** Of one token: whoever logs in without end ends their own, nobody else's. */
const mostOfToken = 200;

export class Sessions {
  readonly #file: string | null;
  readonly #log: Log;
  readonly #byHash = new Map<string, Session>();

  /** Without a file they end with the process. */
  constructor(file: string | null, log: Log) {
    this.#file = file;
    this.#log = log;
    if (file === null) return;
    try {
      for (const session of z.array(Session).parse(JSON.parse(readFileSync(file, "utf8")))) {
        this.#byHash.set(session.hash, session);
      }
    } catch {
      // None yet, or damaged: people log in again.
    }
  }

  /** The id for the cookie; always a new one, so that nobody can be made to use one that another knows. */
  open(token: string, now: number): string {
    const id = randomBytes(32).toString("base64url");
    const hash = hashToken(id);
    this.#byHash.set(hash, { hash, token, expiresAt: now + sessionLifeMs });
    const own = [...this.#byHash].filter(([, session]) => session.token === token);
    for (const [key] of own.slice(0, -mostOfToken)) this.#byHash.delete(key);
    for (const [key, session] of this.#byHash) {
      if (session.expiresAt < now) this.#byHash.delete(key);
    }
    this.#save();
    return id;
  }

  /** The hash of the token that the session was opened with. */
  tokenOf(id: string, now: number): string | null {
    const session = this.#byHash.get(hashToken(id));
    return session && session.expiresAt > now ? session.token : null;
  }

  end(id: string): void {
    if (this.#byHash.delete(hashToken(id))) this.#save();
  }

  /** Ends those whose token is gone. */
  keep(isKnown: (token: string) => boolean): void {
    for (const [key, session] of this.#byHash) {
      if (!isKnown(session.token)) this.#byHash.delete(key);
    }
    this.#save();
  }

  #save(): void {
    if (this.#file === null) return;
    try {
      writePrivateFile(this.#file, JSON.stringify([...this.#byHash.values()]), { replace: true });
    } catch (error) {
      // A full disk must not keep people out; they log in again after a restart.
      this.#log(`logins cannot be stored: ${error instanceof Error ? error.message : error}`);
    }
  }
}
