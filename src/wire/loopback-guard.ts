// A server on loopback trusts this machine. It must not trust the web pages that this machine's browser
// happens to show: they can send requests to localhost (cross-site), and give a name of their own to
// 127.0.0.1 (DNS rebinding). Browsers tell: by Origin, and by a Host that is a foreign name.

import { isIP } from "node:net";
import { hostname } from "node:os";

type Fetch<Rest extends readonly unknown[]> = (
  request: Request,
  ...rest: Rest
) => Response | Promise<Response>;

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d+){3}$/.test(host);
}

/** `allowHosts`: names under which a reverse proxy on this machine passes requests on. */
export function guardLoopback<Rest extends readonly unknown[]>(
  fetch: Fetch<Rest>,
  allowHosts: readonly string[] = [],
): Fetch<Rest> {
  const known = new Set(["localhost", hostname(), ...allowHosts].map((name) => name.toLowerCase()));
  const isOurs = (name: string) =>
    known.has(name) || name.endsWith(".localhost") || isIP(name.replace(/^\[|\]$/g, "")) !== 0;

  return (request, ...rest) => {
    const host = hostOf(`http://${request.headers.get("host") ?? ""}`);
    if (host === null || !isOurs(host.name)) {
      return refuse(`this server does not answer to the name ${quote(host?.name)}`);
    }
    const origin = request.headers.get("origin");
    // An allowed name may come with another port or scheme: that of the proxy.
    if (origin !== null && !isSameSite(hostOf(origin), host)) {
      return refuse(`requests from ${quote(origin)} are not accepted`);
    }
    return fetch(request, ...rest);
  };

  function isSameSite(origin: Host | null, host: Host): boolean {
    if (origin === null) return false;
    return origin.authority === host.authority || allowHosts.includes(origin.name);
  }
}

interface Host {
  readonly name: string;
  /** With the port. */
  readonly authority: string;
}

function hostOf(url: string): Host | null {
  if (!URL.canParse(url)) return null;
  const { hostname, host } = new URL(url);
  return hostname === "" ? null : { name: hostname.toLowerCase(), authority: host.toLowerCase() };
}

function quote(text: string | undefined): string {
  return JSON.stringify((text ?? "").slice(0, 100));
}

function refuse(reason: string): Response {
  const error = `${reason}: it listens on loopback, for this machine alone. Behind a proxy, name it: --allow-host NAME`;
  return Response.json({ error }, { status: 403 });
}
