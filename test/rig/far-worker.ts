// A worker's sources in a network of their own: reached by a socket in the file system and no other way. Says when it
// listens, and ends with whoever started it.

import { connect, createServer } from "node:net";
import { startSourceWorker } from "./source-worker.js";

const [, , path, folder] = process.argv;
const worker = await startSourceWorker(folder === undefined ? {} : { folder });
const port = Number(new URL(worker.url).port);
const door = createServer((near) => {
  const far = connect(port, "127.0.0.1");
  near.pipe(far).pipe(near);
  for (const socket of [near, far]) {
    socket.on("error", () => {
      near.destroy();
      far.destroy();
    });
  }
});
door.listen(path, () => process.send?.("listening"));
process.on("disconnect", async () => {
  door.close();
  await worker[Symbol.asyncDispose]();
  process.exit();
});
