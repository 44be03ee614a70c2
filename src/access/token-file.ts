// A token in a file that only its owner may read.

import { createHash, randomBytes } from "node:crypto";
import {
  closeSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";

/** Shorter ones could be found by trying. */
const shortestToken = 20;

/** The prefix lets people, and programs that look for leaked secrets, see what it is. */
export function makeToken(): string {
  return `bt_${randomBytes(32).toString("base64url")}`;
}

/** A token holds so much chance that a fast hash is enough: there is nothing to guess. */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** Throws with a sentence where others can read the file, or where no token is in it. */
export function readTokenFile(path: string): string {
  const text = readPrivateFile(path).trim();
  if (!/^[\x21-\x7e]+$/.test(text)) {
    throw new Error(`${path} holds no token: it must be one line without spaces`);
  }
  if (text.length < shortestToken) {
    throw new Error(
      `the token in ${path} is too short: at least ${shortestToken} characters, so that nobody finds it by trying`,
    );
  }
  return text;
}

export function readPrivateFile(path: string): string {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    throw new Error(`${path} cannot be read (${codeOf(error)})`, { cause: error });
  }
  try {
    // Of the opened file: one of that name might be another a moment later.
    const mode = fstatSync(file).mode & 0o777;
    if (process.platform !== "win32" && (mode & 0o077) !== 0) {
      throw new Error(
        `${path} can be read or written by others (mode ${mode.toString(8).padStart(4, "0")}), so it is no secret. Try: chmod 600 ${path}`,
      );
    }
    return readFileSync(file, "utf8");
  } finally {
    closeSync(file);
  }
}

/** The token that is there, or a new one where there is no file yet. */
export function ensureTokenFile(path: string): string {
  try {
    writePrivateFile(path, `${makeToken()}\n`, { replace: false });
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
  return readTokenFile(path);
}

/** Whoever reads it sees all of the old content, or all of the new one. */
export function writePrivateFile(
  path: string,
  content: string,
  { replace }: { readonly replace: boolean },
): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const partial = `${path}.${randomBytes(6).toString("hex")}.new`;
  writeFileSync(partial, content, { mode: 0o600, flag: "wx" });
  try {
    if (replace) renameSync(partial, path);
    else linkSync(partial, path);
  } finally {
    rmSync(partial, { force: true });
  }
}

export function codeOf(error: unknown): string {
  if (error instanceof Error && "code" in error) return String(error.code);
  return String(error);
}
