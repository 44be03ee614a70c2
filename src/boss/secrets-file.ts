// The file of --secrets-file: NAME=VALUE lines as in a .env file. Nothing is expanded and nothing is cut in
// silence: what could be meant in two ways is refused, by its line, without its text.

import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { Secrets, shortestSecretBytes } from "./secrets.js";

const largestFileBytes = 64 * 1024;

/** Its message says what to do, and holds no value. */
export class SecretsFileError extends Error {}

export function readSecretsFile(path: string): Secrets {
  const bytes = readPrivate(path);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new SecretsFileError(`${path} is no text in UTF-8; binary secrets can be kept as base64`);
  }
  const parsed = parseSecrets(text);
  if (!parsed.ok) throw new SecretsFileError(`${path}:${parsed.line}: ${parsed.error}`);
  return new Secrets(parsed.values, path);
}

function readPrivate(path: string): Buffer {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    throw new SecretsFileError(`the secrets file cannot be read: ${(error as Error).message}`);
  }
  try {
    const { mode, size } = fstatSync(file);
    if ((mode & 0o077) !== 0) {
      const shown = (mode & 0o777).toString(8).padStart(4, "0");
      throw new SecretsFileError(
        `${path} is open to other users of this machine (mode ${shown}). Close it: chmod 600 ${path}`,
      );
    }
    const bytes = size > largestFileBytes ? null : readFileSync(file);
    if (bytes === null || bytes.length > largestFileBytes) {
      throw new SecretsFileError(`${path} is larger than ${largestFileBytes} bytes`);
    }
    return bytes;
  } catch (error) {
    if (error instanceof SecretsFileError) throw error;
    throw new SecretsFileError(`${path} cannot be read: ${(error as Error).message}`);
  } finally {
    closeSync(file);
  }
}

export type ParsedSecrets =
  | { readonly ok: true; readonly values: ReadonlyMap<string, string> }
  | { readonly ok: false; readonly line: number; readonly error: string };

const blank = /[ \t]*(?:#[^\n]*)?(?:\n|$)/y;
const assignment = /[ \t]*(?:export[ \t]+)?([^\s=#]+)[ \t]*=[ \t]*/y;
const quoted = /"((?:[^"\\]|\\[\s\S])*)"|'([^']*)'/y;
const bare = /[^\n]*/y;

const escapes: Readonly<Record<string, string>> = {
  n: "\n",
  r: "\r",
  t: "\t",
  '"': '"',
  "\\": "\\",
};

export function parseSecrets(text: string): ParsedSecrets {
  const source = text.replace(/^\ufeff/, "").replaceAll("\r\n", "\n");
  const values = new Map<string, string>();
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(source);
    if (match) at += match[0].length;
    return match;
  };
  while (at < source.length) {
    if (take(blank)) continue;
    const line = source.slice(0, at).split("\n").length;
    const refuse = (error: string): ParsedSecrets => ({ ok: false, line, error });
    const name = take(assignment)?.[1];
    if (name === undefined) return refuse("is no NAME=VALUE");
    if (!/^[A-Za-z_]\w*$/.test(name)) {
      return refuse("the name must be made of letters, digits and _, and not begin with a digit");
    }
    if (values.has(name)) return refuse(`${name} is there twice`);
    let value: string;
    const quote = source[at];
    if (quote === '"' || quote === "'") {
      const found = take(quoted);
      if (!found) return refuse(`${name}: the closing ${quote} is missing`);
      value =
        found[2] ?? found[1]!.replace(/\\([\s\S])/g, (pair, char: string) => escapes[char] ?? pair);
      if (!take(blank)) return refuse(`${name}: there is more behind the closing ${quote}`);
    } else {
      value = take(bare)![0].trim();
      if (/[ \t]#/.test(value)) {
        return refuse(`${name}: is " #" part of the value? Then put it in single quotes`);
      }
    }
    if (value.includes("\0")) return refuse(`${name} holds a zero byte`);
    if (Buffer.byteLength(value.trim()) < shortestSecretBytes) {
      return refuse(
        `${name} is shorter than ${shortestSecretBytes} bytes: masking it would make asterisks of ordinary output. What is no secret belongs into env`,
      );
    }
    values.set(name, value);
  }
  return { ok: true, values };
}
