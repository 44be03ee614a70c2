// Who did what, one line of JSON each: a name that holds a line break, or anything else, stays within its
// line. Appended to by the boss, which starts a new file when it is large. Whoever may change nothing has a file
// of their own: logging in without end, or failing to, does not push out what others did.

import { appendFileSync, mkdirSync, readFileSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import * as z from "zod";
import { codeOf } from "../lib/code-of.js";
import type { Log } from "../lib/log.js";
import type { Access } from "./token-folder.js";

export type AuditAction =
  | "run-started"
  | "run-rerun"
  | "run-cancelled"
  | "run-pinned"
  | "run-unpinned"
  | "sandbox-entered"
  | "sandbox-released"
  | "login"
  | "login-failed"
  | "logout"
  | "token-created"
  | "token-rotated"
  | "token-revoked";

export interface AuditActor {
  /** Name of the token, or of this machine's user. */
  readonly name: string;
  readonly via: string;
  readonly address: string | null;
  /** Null of a stranger. */
  readonly access: Access | null;
}

const AuditEntry = z.object({
  at: z.string(),
  action: z.string(),
  by: z.string(),
  via: z.string(),
  address: z.string().nullable(),
  details: z.record(z.string(), z.unknown()),
});
export type AuditEntry = z.infer<typeof AuditEntry>;

export interface Audit {
  write(
    action: AuditAction,
    actor: AuditActor,
    details?: Readonly<Record<string, string | number | boolean>>,
  ): void;
}

export const noAudit: Audit = { write() {} };

const largestFileBytes = 10 * 2 ** 20;

export function createAudit(path: string, log: Log): Audit {
  let isBroken = false;
  return {
    write(action, { name, via, address, access }, details = {}) {
      const file = access === "full" ? path : pathOfOthers(path);
      const at = new Date().toISOString();
      const entry: AuditEntry = { at, action, by: name, via, address, details };
      try {
        mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
        if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > largestFileBytes) {
          renameSync(file, `${file}.1`);
        }
        appendFileSync(file, `${JSON.stringify(entry)}\n`, { mode: 0o600 });
        isBroken = false;
      } catch (error) {
        if (!isBroken)
          log(`the audit log cannot be written: ${error instanceof Error ? error.message : error}`);
        isBroken = true;
      }
    },
  };
}

/** Oldest first; a line that was cut off by a crash is left out. */
export function readAudit(path: string): AuditEntry[] {
  const entries = [path, pathOfOthers(path)].flatMap((path) => [
    ...entriesOf(`${path}.1`),
    ...entriesOf(path),
  ]);
  return entries.sort((one, other) => Date.parse(one.at) - Date.parse(other.at));
}

function pathOfOthers(path: string): string {
  return `${path}.others`;
}

function entriesOf(file: string): AuditEntry[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
  return text.split("\n").flatMap((line) => {
    try {
      return [AuditEntry.parse(JSON.parse(line))];
    } catch {
      return [];
    }
  });
}
