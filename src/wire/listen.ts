import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, Server as TlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { readTls, type TlsFiles, watchTls } from "./tls.js";

/** What a request came by. */
export interface Connection {
  readonly address: string;
  readonly scheme: "http" | "https";
  /** Path and query, as they were sent. */
  readonly target: string;
  /** Ends it, also in the middle of an answer. */
  cut(): void;
  onClosed(listener: () => void): void;
}

export type Fetch = (request: Request, connection: Connection) => Response | Promise<Response>;

export interface Listening {
  readonly url: string;
  readonly port: number;
  /** Takes no more requests, and cuts off, streams too, what is not answered within `patienceMs` (0). */
  close(patienceMs?: number): Promise<void>;
}

/** Rejects with a sentence where the port cannot be had. Port 0 takes a free one. */
export async function listen({
  fetch,
  host,
  port,
  tls,
  log = () => {},
  unreadMs = 60_000,
}: {
  readonly fetch: Fetch;
  readonly host: string;
  readonly port: number;
  readonly tls?: TlsFiles;
  readonly log?: (line: string) => void;
  /** So long an answer that is whole waits for its reader to take some of it. Streams wait by themselves, and cost little. */
  readonly unreadMs?: number;
}): Promise<Listening> {
  const scheme = tls ? "https" : "http";
  const handle = getRequestListener(
    (request, { incoming, outgoing }) =>
      fetch(request, connectionOf(incoming as IncomingMessage, outgoing as ServerResponse, scheme)),
    // Boss and worker may live inside somebody else's program, whose globals are not ours to replace.
    { hostname: host, overrideGlobalObjects: false },
  );
  const onRequest = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    for (const [name, value] of Object.entries(safeHeaders)) outgoing.setHeader(name, value);
    outgoing.once("prefinish", () => {
      if (!outgoing.writableFinished) outgoing.setTimeout(unreadMs, () => outgoing.destroy());
    });
    void handle(incoming, outgoing);
  };
  const settings = {
    // A peer that vanished without a word is found by the system, after some minutes.
    keepAlive: true,
    keepAliveInitialDelay: 15_000,
    noDelay: true,
    // A request has to arrive in this time; its answer, a stream perhaps, may take days.
    headersTimeout: 20_000,
    requestTimeout: 60_000,
    connectionsCheckingInterval: 5_000,
  };
  const server: Server = tls
    ? createTlsServer({ ...settings, ...readTls(tls) }, onRequest)
    : createServer(settings, onRequest);
  const watcher = tls && watchTls(tls, () => renew(server, tls, log));
  server.once("close", () => watcher?.close());
  // Clients keep connections between requests; each closed under them is a lost round trip.
  server.keepAliveTimeout = 120_000;
  server.on("request", (_, response) => {
    // close() itself ends only the connections that are idle at that moment.
    response.once("close", () => {
      if (!server.listening) setImmediate(() => server.closeIdleConnections());
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      watcher?.close();
      reject(explain(error, host, port));
    });
    server.listen({ host, port }, resolve);
  });
  const address = server.address() as AddressInfo;
  const name = host.includes(":") ? `[${host}]` : host;
  return {
    url: `${scheme}://${name}:${address.port}`,
    port: address.port,
    close: (patienceMs = 0) => close(server, patienceMs),
  };
}

/** On every answer, and stricter than the page needs: that says itself what it needs. */
const safeHeaders = {
  "content-security-policy":
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  // Not no-referrer: forms would then come from nowhere, and be refused.
  "referrer-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
};

function connectionOf(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  scheme: "http" | "https",
): Connection {
  return {
    // An IPv4 peer of a socket for both has an address of both.
    address: (incoming.socket.remoteAddress ?? "").replace(/^::ffff:(?=\d+\.)/, ""),
    scheme,
    target: incoming.url ?? "/",
    cut: () => void outgoing.destroy(),
    onClosed: (listener) => void outgoing.once("close", listener),
  };
}

function renew(server: Server, files: TlsFiles, log: (line: string) => void): void {
  if (!(server instanceof TlsServer)) return;
  try {
    server.setSecureContext(readTls(files));
    log("the certificate was read again");
  } catch (error) {
    log(`the old certificate stays: ${error instanceof Error ? error.message : error}`);
  }
}

function explain(error: NodeJS.ErrnoException, host: string, port: number): Error {
  if (error.code === "EADDRINUSE") {
    return new Error(
      `port ${port} on ${host} is taken by another program. Give another one with --port, or see who has it: ss -ltnp 'sport = :${port}'`,
    );
  }
  if (error.code === "EACCES") {
    return new Error(
      `port ${port} on ${host} is not allowed for this user. Give one above 1023 with --port`,
    );
  }
  return new Error(`cannot listen on ${host}:${port}: ${error.message}`);
}

function close(server: Server, patienceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cutOff = () => server.closeAllConnections();
    const timer = patienceMs > 0 ? setTimeout(cutOff, patienceMs) : undefined;
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    if (!timer) cutOff();
  });
}
