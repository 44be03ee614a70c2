// A file that lies in a folder while that is open, and says during which boot of the machine. One of another boot says
// that the machine went down meanwhile: what was written shortly before may then be cut or empty, since nobody waits for
// the disk while there is work. A process that is killed loses nothing that it has written.

import { execFile } from "node:child_process";
import { closeSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { currentOwner } from "../../lib/owner.js";

const run = promisify(execFile);

/** A worker that is stopped has to be gone soon. */
const longestSyncMs = 2_000;

export class BootMark {
  readonly #folder: string;
  readonly #path: string;
  readonly #boot = currentOwner().boot;
  /** The machine went down when the folder was open last. */
  readonly isOld: boolean;

  constructor(folder: string) {
    this.#folder = folder;
    this.#path = join(folder, "boot");
    const found = this.#read();
    // An empty one was cut itself.
    this.isOld = found !== null && found !== this.#boot;
  }

  #read(): string | null {
    try {
      return readFileSync(this.#path, "utf8");
    } catch {
      return null;
    }
  }

  /** On the disk when this returns. */
  set(): void {
    const file = openSync(this.#path, "w", 0o600);
    writeSync(file, this.#boot);
    fsyncSync(file);
    closeSync(file);
    const folder = openSync(this.#folder, "r");
    fsyncSync(folder);
    closeSync(folder);
  }

  /** When all that was written is on the disk. Where that takes too long the mark stays, which costs only time. */
  async clear(): Promise<void> {
    await run("sync", ["-f", this.#folder], { timeout: longestSyncMs }).then(
      () => rmSync(this.#path, { force: true }),
      () => {},
    );
  }
}
