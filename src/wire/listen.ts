import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";

export interface Listening {
  readonly url: string;
  readonly port: number;
  /** Ends every connection, also those of streams. */
  close(): Promise<void>;
}

/** Rejects with a sentence where the port cannot be had. Port 0 takes a free one. */
export async function listen({
  fetch,
  host,
  port,
}: {
  readonly fetch: (request: Request) => Response | Promise<Response>;
  readonly host: string;
  readonly port: number;
}): Promise<Listening> {
  const server = createServer(getRequestListener(fetch));
  // A stream may be silent for longer than any timeout; dead peers are found by its keep-alive comments.
  server.requestTimeout = 0;
  server.keepAliveTimeout = 30_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(explain(error, host, port)));
    server.listen({ host, port }, resolve);
  });
  const address = server.address() as AddressInfo;
  const name = host.includes(":") ? `[${host}]` : host;
  return {
    url: `http://${name}:${address.port}`,
    port: address.port,
    close: () => close(server),
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

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
