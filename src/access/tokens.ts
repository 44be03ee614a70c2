// The tokens that open a server. It hears of new and revoked ones by file events.

import { timingSafeEqual } from "node:crypto";
import { type FSWatcher, watch } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Log } from "../lib/log.js";
import { mayBeAbout } from "../lib/watched-file.js";
import { hashToken, readTokenFile } from "./token-file.js";
import { type Access, listTokens } from "./token-folder.js";

export interface KnownToken {
  readonly name: string;
  readonly access: Access;
  readonly hash: string;
}

export interface Tokens {
  /** Takes the same time whichever token it is, and however much of a wrong one is right. */
  find(token: string): KnownToken | null;
  byHash(hash: string): KnownToken | null;
  /** It was right until it was replaced or revoked: whoever still sends it is late, and does not guess. */
  isRetired(token: string): boolean;
  /** Called after tokens have come or gone. */
  onChange(listener: () => void): void;
  close(): void;
}

export const mainTokenName = "main";

/** One token, for as long as the process lives. */
export function fixedToken(token: string): Tokens {
  return tokensOf(() => [{ name: mainTokenName, access: "full", hash: hashToken(token) }]);
}

/** Throws with a sentence where the file cannot be used. */
export function openTokens({
  file,
  folder,
  log,
}: {
  /** Of the main token. */
  readonly file: string;
  /** Of the others; absent: there are none. */
  readonly folder?: string;
  readonly log: Log;
}): Tokens {
  let main = readTokenFile(file);
  let known = read();
  const listeners = new Set<() => void>();
  const retired = new Set<string>();
  let timer: NodeJS.Timeout | undefined;

  function read(): KnownToken[] {
    const more = folder === undefined ? [] : listTokens(folder, log);
    return [{ name: mainTokenName, access: "full", hash: hashToken(main) }, ...more];
  }

  function reload() {
    const before = known.map(({ hash }) => hash);
    const orSay = (what: string, readAgain: () => void) => {
      try {
        readAgain();
      } catch (error) {
        log(`${what} as before: ${error instanceof Error ? error.message : error}`);
      }
    };
    orSay("the token stays", () => {
      main = readTokenFile(file);
    });
    orSay("the tokens stay", () => {
      known = read();
    });
    const now = known.map(({ hash }) => hash);
    if (now.join() === before.join()) return;
    for (const hash of before) if (!now.includes(hash)) retired.add(hash);
    for (const hash of now) retired.delete(hash);
    for (const listener of listeners) listener();
  }

  // Of a folder, not of the file: a file that is replaced is another one.
  const watchFolder = (path: string, concerns: (name: string | null) => boolean): FSWatcher => {
    const watcher = watch(path, { persistent: false }, (_, name) => {
      if (!concerns(name)) return;
      clearTimeout(timer);
      timer = setTimeout(reload, 20);
    });
    watcher.on("error", (error) => log(`${path} cannot be watched: ${error.message}`));
    return watcher;
  };
  const watchers = [
    watchFolder(dirname(resolve(file)), (name) => mayBeAbout(file, name)),
    ...(folder === undefined ? [] : [watchFolder(folder, () => true)]),
  ];

  return {
    ...tokensOf(() => known),
    isRetired: (token) => retired.has(hashToken(token)),
    onChange: (listener) => void listeners.add(listener),
    close() {
      clearTimeout(timer);
      for (const watcher of watchers) watcher.close();
    },
  };
}

function tokensOf(known: () => readonly KnownToken[]): Tokens {
  return {
    find(token) {
      const given = Buffer.from(hashToken(token), "hex");
      let found: KnownToken | null = null;
      for (const candidate of known()) {
        if (timingSafeEqual(given, Buffer.from(candidate.hash, "hex"))) found = candidate;
      }
      return found;
    },
    byHash: (hash) => known().find((candidate) => candidate.hash === hash) ?? null,
    isRetired: () => false,
    onChange() {},
    close() {},
  };
}
