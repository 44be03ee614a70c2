// Puts together what decides who may talk to a server: from "this machine alone" to tokens and logins.

import { mkdirSync } from "node:fs";
import type { Log } from "../lib/log.js";
import type { Fetch } from "../wire/listen.js";
import { guardLoopback, isLoopback } from "../wire/loopback-guard.js";
import { accessPaths } from "./access-paths.js";
import { type Audit, createAudit, noAudit } from "./audit.js";
import { guard } from "./guard.js";
import { Login } from "./login.js";
import { createSenderOf } from "./sender.js";
import { Sessions } from "./sessions.js";
import { ensureTokenFile } from "./token-file.js";
import { fixedToken, openTokens, type Tokens } from "./tokens.js";

export interface AccessOptions {
  /** The server's data folder. */
  readonly folder?: string;
  /** Of the main token, instead of the one in the folder; a token is then needed on loopback too. */
  readonly tokenFile?: string;
  /** Known to this process alone, instead of a file. */
  readonly token?: string;
  /** Addresses of proxies whose X-Forwarded-* headers are believed; a token is then needed on loopback too. */
  readonly trustProxy?: readonly string[];
}

export interface OpenAccess {
  /** Where the token is; null where none is needed. */
  readonly tokenFile: string | null;
  readonly needsToken: boolean;
  readonly audit: Audit;
  guard(fetch: Fetch): Fetch;
  close(): void;
}

/** No token is needed: it is for this machine alone, and nobody asked for one. */
export function isOpenTo(
  host: string,
  { tokenFile, token, trustProxy = [] }: AccessOptions,
): boolean {
  return isLoopback(host) && !tokenFile && !token && trustProxy.length === 0;
}

/** Throws with a sentence where a token is needed and cannot be had. */
export function openAccess(
  options: AccessOptions,
  {
    role,
    host,
    allowHosts = [],
    log,
  }: {
    readonly role: "boss" | "worker";
    readonly host: string;
    /** Foreign names to answer to, where this machine is trusted as a whole. */
    readonly allowHosts?: readonly string[];
    readonly log: Log;
  },
): OpenAccess {
  const { folder, trustProxy = [] } = options;
  const paths = folder === undefined ? null : accessPaths(folder);
  const audit = role === "boss" && paths ? createAudit(paths.audit, log) : noAudit;
  const senderOf = createSenderOf(trustProxy);
  if (isOpenTo(host, options)) {
    return {
      tokenFile: null,
      needsToken: false,
      audit,
      guard: (fetch) => guardLoopback(fetch, allowHosts),
      close() {},
    };
  }

  const ownFile = role === "boss" ? paths?.token : paths?.workerToken;
  const tokenFile = options.tokenFile ?? ownFile;
  let tokens: Tokens;
  let login: Login | undefined;
  if (options.token !== undefined) tokens = fixedToken(options.token);
  else if (tokenFile === undefined) {
    throw new Error(
      `a ${role} that listens on ${host} lets in nobody without a token. Give it one: --token-file FILE`,
    );
  } else {
    if (options.tokenFile === undefined) ensureTokenFile(tokenFile);
    if (paths && role === "boss") mkdirSync(paths.more, { recursive: true, mode: 0o700 });
    tokens = openTokens({
      file: tokenFile,
      ...(paths && role === "boss" && { folder: paths.more }),
      log,
    });
  }
  if (role === "boss") login = new Login(new Sessions(paths?.sessions ?? null, log), tokens);
  const hint =
    role === "boss"
      ? "Its owner sees it by: bettertest token"
      : "Its owner sees it by: bettertest token --worker. A boss is given it by: --worker-token-file FILE";
  return {
    tokenFile: tokenFile ?? null,
    needsToken: true,
    audit,
    guard: (fetch) => guard(fetch, { tokens, senderOf, audit, log, hint, ...(login && { login }) }),
    close: () => tokens.close(),
  };
}
