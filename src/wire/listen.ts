import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { guardLoopback, isLoopback } from "./loopback-guard.js";

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
  allowHosts = [],
}: {
  readonly fetch: (request: Request) => Response | Promise<Response>;
  readonly host: string;
  readonly port: number;
  /** Foreign names that a server on loopback answers to. */
  readonly allowHosts?: readonly string[];
}): Promise<Listening> {
  const answer = isLoopback(host) ? guardLoopback(fetch, allowHosts) : fetch;
  const server = createServer(
    // A peer that vanished without a word is found by the system, after some minutes.
    { keepAlive: true, keepAliveInitialDelay: 15_000, noDelay: true },
    // Boss and worker may live inside somebody else's program, whose globals are not ours to replace.
    getRequestListener(answer, { hostname: host, overrideGlobalObjects: false }),
  );
  // A stream may be silent for longer than any timeout; dead peers are found by its keep-alive comments.
  server.requestTimeout = 0;
  // Clients keep connections between requests; each closed under them is a lost round trip.
  server.keepAliveTimeout = 120_000;
  server.on("request", (_, response) => {
    // close() itself ends only the connections that are idle at that moment.
    response.once("close", () => {
      if (!server.listening) setImmediate(() => server.closeIdleConnections());
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(explain(error, host, port)));
    server.listen({ host, port }, resolve);
  });
  const address = server.address() as AddressInfo;
  const name = host.includes(":") ? `[${host}]` : host;
  return {
    url: `http://${name}:${address.port}`,
    port: address.port,
    close: (patienceMs = 0) => close(server, patienceMs),
  };
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
