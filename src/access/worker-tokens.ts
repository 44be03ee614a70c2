// Which token a worker gets from us. Pipedefs may name workers, so a token goes only where its owner said:
// to the address on its line, or, where it stands alone, to the workers given by --worker.

import { statSync } from "node:fs";
import { readPrivateFile } from "./token-file.js";

export interface WorkerTokens {
  /** `own`: the worker was given to us, not named by a pipedef. */
  tokenFor(url: string, own: boolean): string | undefined;
}

export interface WorkerTokensOptions {
  /** Lines of `URL TOKEN`, or of one token alone. */
  readonly file?: string;
  /** Of a worker in this process. */
  readonly fixed?: ReadonlyMap<string, string>;
  /** Of a worker of this user and machine, by its port. */
  readonly local?: (port: number) => string | undefined;
}

/** Throws with a sentence where the file cannot be used. */
export function openWorkerTokens({ file, fixed, local }: WorkerTokensOptions): WorkerTokens {
  let given = file === undefined ? nothing : readLines(file);
  let readAt = file === undefined ? 0 : changedAt(file);

  function current(): Lines {
    // Asked when a token is needed, so that a new one counts from the next request on.
    if (file === undefined || changedAt(file) === readAt) return given;
    try {
      const at = changedAt(file);
      given = readLines(file);
      readAt = at;
    } catch {
      // Half written perhaps, or gone: what was read before may still be right.
    }
    return given;
  }

  // Asked for each request, of few workers; to take an address apart costs more than all the rest.
  const places = new Map<string, Place | null>();

  return {
    tokenFor(url, own) {
      let place = places.get(url);
      if (place === undefined) {
        place = placeOf(url);
        places.set(url, place);
      }
      if (place === null) return undefined;
      const { origin, localPort } = place;
      const { byOrigin, alone } = current();
      const found = fixed?.get(origin) ?? byOrigin.get(origin) ?? (own ? alone : undefined);
      return found ?? (localPort === null ? undefined : local?.(localPort));
    },
  };
}

interface Place {
  readonly origin: string;
  /** Null: on another machine, as far as its name tells. */
  readonly localPort: number | null;
}

/** Null: no server's. */
function placeOf(url: string): Place | null {
  const origin = originOf(url);
  if (origin === null) return null;
  const { hostname, port, protocol } = new URL(origin);
  const isHere = ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
  const localPort = isHere ? Number(port || (protocol === "https:" ? 443 : 80)) : null;
  return { origin, localPort };
}

export function originOf(url: string): string | null {
  const origin = URL.canParse(url) ? new URL(url).origin : "null";
  // What addresses have that name no server.
  return origin === "null" ? null : origin;
}

interface Lines {
  readonly byOrigin: ReadonlyMap<string, string>;
  readonly alone: string | undefined;
}

const nothing: Lines = { byOrigin: new Map(), alone: undefined };

function readLines(file: string): Lines {
  const byOrigin = new Map<string, string>();
  let alone: string | undefined;
  const lines = readPrivateFile(file).split("\n");
  for (const [index, line] of lines.entries()) {
    const words = line.trim().split(/\s+/);
    const [first = "", second] = words;
    if (first === "" || first.startsWith("#")) continue;
    const origin = second === undefined ? null : originOf(first);
    if (words.length === 1 && !first.includes("://") && alone === undefined) alone = first;
    else if (words.length === 2 && second !== undefined && origin !== null) {
      byOrigin.set(origin, second);
    } else {
      // Not the line itself: it may hold a token.
      throw new Error(
        `${file}:${index + 1} is neither "URL TOKEN" nor the one line with a token for all workers`,
      );
    }
  }
  return { byOrigin, alone };
}

function changedAt(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
