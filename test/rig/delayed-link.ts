// A link on which every byte takes its time, for kernels that have no such thing themselves.

import { once } from "node:events";
import {
  type AddressInfo,
  connect,
  createServer,
  type NetConnectOpts,
  type Socket,
} from "node:net";

export interface DelayedLink extends AsyncDisposable {
  readonly port: number;
  /** How often somebody on the near side could not go on before the far side had answered; to connect is one. */
  readonly roundTrips: number;
  /** On their way to the far side, so far. */
  readonly bytesSent: number;
  /** Breaks all connections when so many bytes more were sent, once. */
  cutAfter(bytes: number): void;
}

/** So much may be on its way. */
const windowBytes = 2 ** 20;

/** `roundTripMs`: there and back; to connect takes one, as it does by a handshake. */
export async function startDelayedLink(
  target: NetConnectOpts,
  roundTripMs: number,
): Promise<DelayedLink> {
  const sockets = new Set<Socket>();
  let roundTrips = 0;
  let bytesSent = 0;
  let cutAt = Number.POSITIVE_INFINITY;

  const server = createServer((near) => {
    const openAt = performance.now() + roundTripMs;
    const far = connect(target);
    roundTrips += 1;
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => sockets.delete(socket));
    }
    let isAnswered = true;
    near.on("data", ({ length }: Buffer) => {
      if (isAnswered) roundTrips += 1;
      isAnswered = false;
      bytesSent += length;
      if (bytesSent < cutAt) return;
      cutAt = Number.POSITIVE_INFINITY;
      for (const socket of sockets) socket.destroy();
    });
    far.on("data", () => {
      isAnswered = true;
    });
    carry(near, far, { roundTripMs, openAt });
    carry(far, near, { roundTripMs, openAt });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    get roundTrips() {
      return roundTrips;
    },
    get bytesSent() {
      return bytesSent;
    },
    cutAfter(bytes) {
      cutAt = bytesSent + bytes;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function carry(
  from: Socket,
  to: Socket,
  { roundTripMs, openAt }: { readonly roundTripMs: number; readonly openAt: number },
): void {
  from.setNoDelay(true);
  let waiting = 0;
  // Timers that are set for the same moment, one after the other, may come in another order.
  const works: (() => void)[] = [];
  const later = (work: () => void) => {
    const dueAt = Math.max(performance.now(), openAt) + roundTripMs / 2;
    works.push(work);
    setTimeout(() => works.shift()!(), dueAt - performance.now());
  };
  from.on("data", (bytes: Buffer) => {
    waiting += bytes.length;
    if (waiting > windowBytes) from.pause();
    later(() => {
      to.write(bytes, () => {
        waiting -= bytes.length;
        if (waiting <= windowBytes) from.resume();
      });
    });
  });
  from.on("end", () => later(() => to.end()));
  from.on("close", () => later(() => to.destroySoon()));
}
