// The file of --secrets-file: NAME=VALUE lines as in a .env file. Nothing is expanded and nothing is cut in
// silence: what could be meant in two ways is refused, by its line, without its text.

import { readPrivateFile } from "../../access/token-file.js";
import { asError } from "../../lib/as-error.js";
import { Secrets, shortestSecretBytes } from "./secrets.js";

const largestFileBytes = 64 * 1024;

/** Its message says what to do, and holds no value. */
export class SecretsFileError extends Error {}

export function readSecretsFile(path: string): Secrets {
  let text: string;
  try {
    text = readPrivateFile(path);
  } catch (error) {
    throw new SecretsFileError(asError(error).message);
  }
  if (text.includes("\ufffd")) {
    throw new SecretsFileError(`${path} is no text in UTF-8; binary secrets can be kept as base64`);
  }
  if (Buffer.byteLength(text) > largestFileBytes) {
    throw new SecretsFileError(`${path} is larger than ${largestFileBytes} bytes`);
  }
  const parsed = parseSecrets(text);
  if (!parsed.ok) throw new SecretsFileError(`${path}:${parsed.line}: ${parsed.error}`);
  return new Secrets(parsed.values, path);
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
