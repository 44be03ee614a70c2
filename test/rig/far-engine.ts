// The engine of this machine, as one that is reached over a network, and so does not see this machine's files.

import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";

export async function farEngine(): Promise<Disposable & { readonly url: string }> {
  const gate = createServer((near) => {
    const far = connect("/var/run/docker.sock");
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) socket.on("error", () => near.destroy() && far.destroy());
  });
  gate.listen(0, "127.0.0.1");
  await once(gate, "listening");
  const { port } = gate.address() as AddressInfo;
  return { url: `tcp://127.0.0.1:${port}`, [Symbol.dispose]: () => void gate.close() };
}
