// Real pipes. Node gives its children sockets, on which `> /dev/stdout` fails, and one for each of stdout
// and stderr, which loses the order between them. Node cannot make a pipe itself, but it can open a FIFO.

import { execFile } from "node:child_process";
import { closeSync, constants, openSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

export interface Pipes {
  /** Both ends, as file descriptors of the caller's to close. */
  open(): Promise<{ readEnd: number; writeEnd: number }>;
}

const run = promisify(execFile);
const madeAtOnce = 16;

export function createPipes(folder: string): Pipes {
  let made = 0;
  let ready: string[] = [];
  let making: Promise<void> | null = null;

  async function make() {
    const paths = Array.from({ length: madeAtOnce }, () => join(folder, `pipe-${++made}`));
    await run("mkfifo", ["-m", "600", ...paths]);
    ready = ready.concat(paths);
  }

  return {
    async open() {
      while (ready.length === 0) {
        making ??= make().finally(() => {
          making = null;
        });
        await making;
      }
      const path = ready.pop()!;
      // The reader first and without waiting for a writer; then a writer finds it and need not wait.
      const readEnd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        return { readEnd, writeEnd: openSync(path, constants.O_WRONLY) };
      } catch (error) {
        closeSync(readEnd);
        throw error;
      } finally {
        unlinkSync(path);
      }
    },
  };
}
