// A connection to the engine, wherever that is. Where that may be, and by which certificates or keys, is read by
// dockerode from its options and the environment; so it is the same for its requests and for our own.

import { connect as connectNet, isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import type Docker from "dockerode";
import * as z from "zod";
import { openSsh } from "../dockerode.js";

/** Rejects where the engine is not there. */
export type Dial = () => Promise<Duplex>;

const pem = z.union([z.string(), z.instanceof(Buffer), z.array(z.string())]).optional();

const Address = z.object({
  host: z.string(),
  port: z.coerce.number(),
  protocol: z.enum(["http", "https", "ssh"]),
  ca: pem,
  cert: pem,
  key: z.union([z.string(), z.instanceof(Buffer)]).optional(),
});

/** A peer that vanished without a word is found by the system. */
const keepAliveMs = 15_000;
const connectMs = 60_000;

export function dialOf(docker: Docker): Dial {
  const { modem } = docker;
  if ("socketPath" in modem && modem.socketPath) {
    const { socketPath } = modem;
    // Where it is the usual one, dockerode looks in two places, by a function.
    const find = async () => (typeof socketPath === "function" ? await socketPath() : socketPath);
    return async () => opened(connectNet({ path: z.string().parse(await find()) }), "connect");
  }
  const { host, port, protocol, ...proof } = Address.parse(modem);
  if (protocol === "ssh") return () => openSsh(modem);
  const tcp = { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs };
  if (protocol === "http") return () => opened(connectNet(tcp), "connect");
  const tls = { ...tcp, ...proof, servername: isIP(host) ? "" : host };
  return () => opened(connectTls(tls), "secureConnect");
}

function opened<T extends Duplex>(socket: T, event: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => socket.destroy(new Error(`no connection within ${connectMs / 1000} s`));
    const timer = setTimeout(late, connectMs);
    socket.once("error", reject);
    socket.once("close", () => clearTimeout(timer));
    socket.once(event, () => {
      clearTimeout(timer);
      socket.off("error", reject);
      resolve(socket);
    });
  });
}
