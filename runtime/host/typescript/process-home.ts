// A child process of its own group: whatever the code in it does, malice included, ends with it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { Readable, Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { killGroup } from "../../../src/lib/kill-group.js";
import { ChildrenOfHome } from "./children-of-home.js";
import { encodeFrame, FrameReader } from "./frames.js";
import type { Home } from "./home.js";
import { nodeFlags } from "./node-flags.js";
import { describeExit, outOfMemory } from "./process-exit.js";

/**
 * What Node itself maps beside a pipedef's objects: stacks and heaps of its threads, code, buffers. Newer
 * ones set aside half a GiB for code, per heap and writable, so that it counts although it is not used.
 */
const nodeOverheadBytes = (Number.parseInt(process.versions.node, 10) >= 22 ? 3072 : 768) * 2 ** 20;
/** How far it may run ahead of what the boss has dealt with, and how much it may leave unread. */
const readAheadBytes = 1024 * 1024;
const maxUnreadBytes = 64 * 1024 * 1024;
/** How long its last words may take to come after its end; a grandchild can hold the pipe open for ever. */
const lastWordsMs = 500;

const entry = fileURLToPath(new URL("./inside/process.js", import.meta.url));

// When memory is short the kernel takes this process before the boss, and memory outside the JavaScript
// heap (buffers, native code) has an end too. Where the system has no such thing, the rest still counts.
const limitAndStart = `
{ echo 1000 > /proc/self/oom_score_adj; } 2>/dev/null
ulimit -d "$1" 2>/dev/null
ulimit -c 0 2>/dev/null
shift
exec "$@"`;

export function startProcessHome({ memoryBytes }: { readonly memoryBytes: number }): Home {
  const heapMiB = Math.max(16, Math.floor(memoryBytes / 2 ** 20));
  const dataKiB = Math.ceil((memoryBytes + nodeOverheadBytes) / 1024);
  const node = [process.execPath, ...nodeFlags, `--max-old-space-size=${heapMiB}`, entry];
  const child = spawn("/bin/sh", ["-c", limitAndStart, "sh", String(dataKiB), ...node], {
    env: {},
    detached: true,
    stdio: ["ignore", "pipe", "pipe", "pipe", "pipe", "pipe"],
  });
  let gone = false;
  const exited = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(`the pipedef's process cannot start: ${error.message}`));
    child.once("exit", (code, signal) => {
      gone = true;
      // What it left in its group; now, while the group's number cannot be anybody else's.
      killGroup(child.pid, "SIGKILL");
      resolve(describeExit(code, signal));
    });
  });
  // One that cannot be started at all may have none.
  const [, , , fromHome, toHome] = child.stdio ?? [];
  if (!(fromHome instanceof Readable && toHome instanceof Writable)) {
    throw new Error("the pipedef's process cannot be started. Are too many files open?");
  }
  const children = new ChildrenOfHome(() => home.send({ type: "end-children" }));
  let failure: string | undefined;
  let heapFull = false;
  let outstanding = 0;
  toHome.on("error", () => {});
  const fail = (message: string) => {
    failure ??= message;
    killGroup(gone ? undefined : child.pid, "SIGKILL");
  };

  const home: Home = {
    send(head, body = new Uint8Array(0)) {
      if (gone || !toHome.writable) return;
      toHome.write(encodeFrame(head, body));
      if (toHome.writableLength > maxUnreadBytes)
        fail("the pipedef's process does not read its messages");
    },
    receive(handler) {
      const frames = new FrameReader();
      const release = (bytes: number) => {
        outstanding -= bytes;
        if (outstanding <= readAheadBytes) fromHome.resume();
      };
      fromHome.on("data", (chunk: Buffer) => {
        try {
          for (const { head, body, bytes } of frames.read(chunk)) {
            if (children.notice(head)) continue;
            outstanding += bytes;
            const done = handler(head, body);
            if (done) done.then(() => release(bytes));
            else outstanding -= bytes;
          }
        } catch (error) {
          fail(`the pipedef's process sent what is no message (${error})`);
        }
        if (outstanding > readAheadBytes) fromHome.pause();
      });
      fromHome.on("error", () => {});
    },
    get waitsForBoss() {
      return outstanding > readAheadBytes;
    },
    onRawOutput: () => {},
    died: exited.then(async (message) => {
      const drained = fromHome.readableEnded ? undefined : once(fromHome, "close");
      await Promise.race([drained, delay(lastWordsMs)]);
      return failure ?? (heapFull ? outOfMemory(memoryBytes) : message);
    }),
    async end() {
      if (!gone) await children.end();
      killGroup(gone ? undefined : child.pid, "SIGKILL");
      await exited;
      for (const stream of child.stdio) stream?.destroy();
    },
  };
  child.stdout?.on("data", (bytes: Uint8Array) => home.onRawOutput(bytes));
  child.stderr?.on("data", (bytes: Buffer) => {
    heapFull ||= bytes.includes("JavaScript heap out of memory");
    home.onRawOutput(bytes);
  });
  return home;
}
