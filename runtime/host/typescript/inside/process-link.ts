import { writeSync } from "node:fs";
import { Socket } from "node:net";
import { encodeFrame, FrameReader } from "../frames.js";
import type { ToHome } from "../messages.js";
import { type Link, noBytes } from "./link.js";

/** File descriptors the boss has opened for this process, beside the usual three. */
export const fds = { toBoss: 3, fromBoss: 4, alive: 5 } as const;

// Taken before a pipedef can replace it.
const exit = process.exit.bind(process);

export function createProcessLink(): Link {
  return {
    // A blocking write: it waits while the pipe is full, and is out before anything else can happen.
    send(head, body = noBytes) {
      const frame = encodeFrame(head, body);
      for (let start = 0; start < frame.byteLength; ) {
        start += writeSync(fds.toBoss, frame, start);
      }
    },
    receive(handler) {
      const frames = new FrameReader();
      const socket = new Socket({ fd: fds.fromBoss, readable: true, writable: false });
      socket.on("data", (chunk) => {
        // The boss is to be believed.
        for (const { head, body } of frames.read(chunk)) handler(head as ToHome, body);
      });
      socket.on("error", () => exit(1));
      socket.on("close", () => exit(1));
    },
  };
}
