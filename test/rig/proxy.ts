// A TCP proxy that a test holds in its hand: it cuts connections, stalls them, and goes on.

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface NetworkProxy extends Disposable {
  readonly url: string;
  /** Connections taken so far. */
  readonly taken: number;
  /** Ends all connections; new ones are taken. */
  drop(): void;
  /** Ends all connections and refuses new ones, until restored. */
  cut(): void;
  /** Takes connections and bytes, and passes nothing on, until restored. */
  stall(): void;
  restore(): void;
  /** Sees each chunk on its way from the server, before it is passed on. */
  onAnswer: (chunk: Buffer) => void;
  /** The same of those on their way to it. */
  onRequest: (chunk: Buffer) => void;
}

export async function startProxy(target: () => string): Promise<NetworkProxy> {
  const sockets = new Set<Socket>();
  let state: "open" | "cut" | "stalled" = "open";
  let taken = 0;
  const server = createServer({ pauseOnConnect: true }, (near) => {
    taken += 1;
    if (state === "cut") return void near.resetAndDestroy();
    const { hostname, port } = new URL(target());
    const far = connect(Number(port), hostname);
    join(near, far);
    far.on("data", (chunk) => proxy.onAnswer(chunk));
    near.on("data", (chunk) => proxy.onRequest(chunk));
    near.pipe(far);
    far.pipe(near);
    if (state === "stalled") pause(near, far);
  });
  const join = (near: Socket, far: Socket) => {
    const end = () => {
      near.destroy();
      far.destroy();
      sockets.delete(near);
      sockets.delete(far);
    };
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", end);
      socket.on("close", end);
    }
  };
  const pause = (...ends: Socket[]) => {
    for (const socket of ends) {
      socket.cork();
      socket.pause();
    }
  };
  const dropAll = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy: NetworkProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get taken() {
      return taken;
    },
    onAnswer: () => {},
    onRequest: () => {},
    drop: dropAll,
    cut() {
      state = "cut";
      dropAll();
    },
    stall() {
      state = "stalled";
      pause(...sockets);
    },
    restore() {
      state = "open";
      for (const socket of sockets) {
        socket.uncork();
        socket.resume();
      }
    },
    [Symbol.dispose]() {
      server.close();
      dropAll();
    },
  };
  return proxy;
}
