// Stands before a server that is not for this machine alone: no request goes on without a token.

import type { Log } from "../lib/log.js";
import { BadRequest } from "../wire/body.js";
import type { Connection, Fetch } from "../wire/listen.js";
import { type Audit, noAudit } from "./audit.js";
import { type Caller, setCaller } from "./caller.js";
import { type Login, loginPaths } from "./login.js";
import { isSameOrigin, type Sender, type SenderOf } from "./sender.js";
import { Throttle } from "./throttle.js";
import type { KnownToken, Tokens } from "./tokens.js";

export interface GuardOptions {
  readonly tokens: Tokens;
  readonly senderOf: SenderOf;
  /** For browsers; absent: programs only. */
  readonly login?: Login;
  readonly audit?: Audit;
  readonly log: Log;
  /** Where the token can be seen, for those who have none. */
  readonly hint: string;
}

/** What a request showed to be let in. */
export type Credential =
  | { readonly kind: "token"; readonly token: KnownToken }
  | { readonly kind: "session"; readonly token: KnownToken; readonly id: string };

const readMethods = ["GET", "HEAD", "OPTIONS"];

export function guard(fetch: Fetch, options: GuardOptions): Fetch {
  const { tokens, senderOf, login, log, hint } = options;
  const audit = options.audit ?? noAudit;
  const throttle = new Throttle();
  const open = new Map<Connection, () => boolean>();

  /** Streams may last for days: one that was let in by what is no longer valid ends. */
  function cutOffInvalid() {
    login?.sessions.keep((token) => tokens.byHash(token) !== null);
    for (const [connection, isValid] of open) {
      if (!isValid()) connection.cut();
    }
  }
  tokens.onChange(cutOffInvalid);

  function letIn(request: Request, connection: Connection, sender: Sender, shown: Credential) {
    const { token } = shown;
    const caller: Caller = {
      name: token.name,
      access: token.access,
      via: shown.kind,
      address: sender.address,
    };
    if (token.access === "read" && !readMethods.includes(request.method)) {
      return refuse(403, `the token "${token.name}" may look at everything and change nothing`);
    }
    setCaller(request, caller);
    open.set(connection, () =>
      shown.kind === "session"
        ? login?.credentialOf(shown.id) !== null
        : tokens.byHash(token.hash) !== null,
    );
    connection.onClosed(() => void open.delete(connection));
    return fetch(request, connection);
  }

  /** Null, and the failure counted, where the token is wrong. */
  function tryToken(text: string, sender: Sender, how: "bearer" | "login"): KnownToken | Response {
    const now = Date.now();
    const token = tokens.find(text);
    const waitMs = throttle.waitMs(sender.address, token?.hash ?? null, now);
    if (waitMs > 0) return tooMany(waitMs);
    if (token) {
      throttle.passed(sender.address, token.hash, now);
      return token;
    }
    if (tokens.isRetired(text)) {
      return refuse(401, `this token is not valid any more. ${hint}`, bearerWanted);
    }
    const nextMs = throttle.failed(sender.address, now);
    const wait = nextMs > 0 ? `; the next try from there has to wait ${nextMs / 1000} s` : "";
    log(`a wrong token from ${sender.address} (${how})${wait}`, {
      level: "warn",
      fields: { address: sender.address, how },
    });
    audit.write("login-failed", {
      name: "unknown",
      via: how,
      address: sender.address,
      access: null,
    });
    return refuse(401, `this token is not known here. ${hint}`, bearerWanted);
  }

  return async (request, connection) => {
    const sender = senderOf(request, connection);
    const path = connection.target.split("?")[0] ?? "";
    const reads = readMethods.includes(request.method);
    if (path === "/health" && reads) return fetch(request, connection);

    const origin = request.headers.get("origin");
    if (origin !== null && !isSameOrigin(origin, sender)) {
      const from = JSON.stringify(origin.slice(0, 100));
      return refuse(
        403,
        `requests from ${from} are not accepted. Behind a proxy, name it: --trust-proxy ADDRESS`,
      );
    }
    if (login && loginPaths.includes(path)) {
      const answer = (text: string) => tryToken(text, sender, "login");
      return await login
        .answer(request, { path, sender, tryToken: answer, audit })
        .then((response) => {
          if (path === "/logout") cutOffInvalid();
          return response;
        })
        .catch((error: unknown) => {
          if (error instanceof BadRequest) return refuse(error.status, error.message);
          throw error;
        });
    }

    const bearer = request.headers.get("authorization");
    if (bearer !== null) {
      const text = /^bearer +([\x21-\x7e]+)$/i.exec(bearer)?.[1];
      if (text === undefined) {
        return refuse(401, `send Authorization: Bearer TOKEN. ${hint}`, bearerWanted);
      }
      const token = tryToken(text, sender, "bearer");
      if (token instanceof Response) return token;
      return letIn(request, connection, sender, { kind: "token", token });
    }
    const session = login?.find(request, sender);
    if (!session) {
      if (login && isNavigation(request, path)) return login.redirect(connection.target);
      return refuse(401, `no token was sent: Authorization: Bearer TOKEN. ${hint}`, bearerWanted);
    }
    // A browser sends the cookie by itself, whichever page made it ask; it also says which page that was.
    if (!reads && !(origin !== null || request.headers.get("sec-fetch-site") === "same-origin")) {
      return refuse(403, "a request that changes something must say that it comes from this page");
    }
    return letIn(request, connection, sender, session);
  };
}

const bearerWanted = { "www-authenticate": 'Bearer realm="bettertest"' };

function isNavigation(request: Request, path: string): boolean {
  if (!["GET", "HEAD"].includes(request.method) || path.startsWith("/api/")) return false;
  return (request.headers.get("accept") ?? "").includes("text/html");
}

function refuse(status: number, error: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error }, { status, headers });
}

function tooMany(waitMs: number): Response {
  const seconds = Math.ceil(waitMs / 1000);
  const error = `too many wrong tokens: try again in ${seconds} s`;
  return refuse(429, error, { "retry-after": String(seconds) });
}
