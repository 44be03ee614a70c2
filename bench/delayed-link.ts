// A link on which every byte takes its time, for kernels that have no such thing themselves.

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface DelayedLink extends AsyncDisposable {
  readonly port: number;
}

/** `roundTripMs`: there and back; to connect takes one, as it does by a handshake. */
export async function startDelayedLink(port: number, roundTripMs: number): Promise<DelayedLink> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const openAt = performance.now() + roundTripMs;
    const far = connect(port, "127.0.0.1");
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => sockets.delete(socket));
    }
    carry(near, far, { roundTripMs, openAt });
    carry(far, near, { roundTripMs, openAt });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
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
  const later = (work: () => void) => {
    const dueAt = Math.max(performance.now(), openAt) + roundTripMs / 2;
    setTimeout(work, dueAt - performance.now());
  };
  from.on("data", (bytes: Buffer) => later(() => to.write(bytes)));
  from.on("end", () => later(() => to.end()));
  from.on("close", () => later(() => to.destroySoon()));
}
