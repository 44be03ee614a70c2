// The way in for people: a page with one field that works without JavaScript, and a cookie.

import { readBody } from "../wire/body.js";
import type { Audit } from "./audit.js";
import type { Credential } from "./guard.js";
import { type LoginPage, loginPage, loginStyle } from "./login-page.js";
import type { Sender } from "./sender.js";
import { type Sessions, sessionLifeMs } from "./sessions.js";
import type { KnownToken, Tokens } from "./tokens.js";

export const loginPaths: readonly string[] = ["/login", "/login.css", "/logout"];

const largestFormBytes = 8 * 1024;
const pagePolicy =
  "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

export class Login {
  readonly sessions: Sessions;
  readonly #tokens: Tokens;

  constructor(sessions: Sessions, tokens: Tokens) {
    this.sessions = sessions;
    this.#tokens = tokens;
  }

  credentialOf(id: string): Credential | null {
    const hash = this.sessions.tokenOf(id, Date.now());
    const token = hash === null ? null : this.#tokens.byHash(hash);
    return token && { kind: "session", token, id };
  }

  find(request: Request, sender: Sender): Credential | null {
    const id = cookieOf(request, sender);
    return id === null ? null : this.credentialOf(id);
  }

  redirect(target: string): Response {
    const next = target === "/" ? "" : `?next=${encodeURIComponent(target)}`;
    return new Response(null, { status: 302, headers: { location: `/login${next}` } });
  }

  async answer(
    request: Request,
    {
      path,
      sender,
      tryToken,
      audit,
    }: {
      readonly path: string;
      readonly sender: Sender;
      readonly tryToken: (text: string) => KnownToken | Response;
      readonly audit: Audit;
    },
  ): Promise<Response> {
    const reads = ["GET", "HEAD"].includes(request.method);
    if (path === "/login.css" && reads) {
      return new Response(loginStyle, {
        headers: { "content-type": "text/css; charset=utf-8", "cache-control": "max-age=300" },
      });
    }
    const old = this.find(request, sender);
    if (path === "/login" && reads) {
      const next = safeNext(new URL(request.url).searchParams.get("next"));
      if (old) return seeOther(next);
      // Behind a link on another site a strict cookie stays at home; asked for by our own page it comes.
      const fromElsewhere = request.headers.get("sec-fetch-site") === "cross-site";
      return page(200, { next, problem: null, again: fromElsewhere });
    }
    if (request.method !== "POST" || path === "/login.css") {
      return Response.json({ error: `${path} does not take ${request.method}` }, { status: 405 });
    }
    // A page elsewhere must not log anybody in, into its own account, nor out.
    if (
      request.headers.get("origin") === null &&
      request.headers.get("sec-fetch-site") !== "same-origin"
    ) {
      return Response.json({ error: "the form must be sent by this page" }, { status: 403 });
    }
    const actor = ({ name, access }: KnownToken) => ({
      name,
      access,
      via: "login",
      address: sender.address,
    });
    if (path === "/logout") {
      if (old?.kind === "session") {
        this.sessions.end(old.id);
        audit.write("logout", actor(old.token));
      }
      return seeOther("/login", { "set-cookie": cookie(sender, "", 0) });
    }
    const form = new URLSearchParams(await readBody(request, largestFormBytes));
    const next = safeNext(form.get("next"));
    const token = tryToken((form.get("token") ?? "").trim());
    if (token instanceof Response) {
      const retryAfter = token.headers.get("retry-after");
      const problem = retryAfter
        ? `Too many wrong tokens. Try again in ${retryAfter} s.`
        : "This token is not known here.";
      const headers: Record<string, string> = retryAfter ? { "retry-after": retryAfter } : {};
      return page(token.status, { next, problem }, headers);
    }
    if (old?.kind === "session") this.sessions.end(old.id);
    const id = this.sessions.open(token.hash, Date.now());
    audit.write("login", actor(token));
    return seeOther(next, { "set-cookie": cookie(sender, id, sessionLifeMs / 1000) });
  }
}

/** A place in this server, whatever was asked for. */
export function safeNext(next: string | null): string {
  const here = "http://here";
  if (next === null || !/^\/(?![/\\])[\x21-\x7e]*$/.test(next) || !URL.canParse(next, here))
    return "/";
  const { origin, pathname, search, hash } = new URL(next, here);
  if (origin !== here || pathname.startsWith("//") || pathname === "/login") return "/";
  return pathname + search + hash;
}

function page(status: number, content: LoginPage, headers: Record<string, string> = {}): Response {
  return new Response(loginPage(content), {
    status,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": pagePolicy,
      ...headers,
    },
  });
}

function seeOther(location: string, headers: Record<string, string> = {}): Response {
  return new Response(null, { status: 303, headers: { location, ...headers } });
}

/** Cookies know no ports: bosses side by side need names of their own. */
function cookieName({ scheme, host }: Sender): string {
  const url = `${scheme}://${host}`;
  const port = URL.canParse(url) ? new URL(url).port : "";
  // A browser takes __Host- only with Secure, without a domain: no neighbour can plant it.
  const prefix = scheme === "https" ? "__Host-" : "";
  return `${prefix}bettertest${port === "" ? "" : `-${port}`}`;
}

function cookie(sender: Sender, value: string, maxAgeS: number): string {
  const secure = sender.scheme === "https" ? "; Secure" : "";
  return `${cookieName(sender)}=${value}; Path=/; Max-Age=${maxAgeS}; HttpOnly; SameSite=Strict${secure}`;
}

function cookieOf(request: Request, sender: Sender): string | null {
  const name = `${cookieName(sender)}=`;
  const pair = (request.headers.get("cookie") ?? "")
    .split(";")
    .map((part) => part.trim())
    .find((part) => part.startsWith(name));
  return pair?.slice(name.length) || null;
}
