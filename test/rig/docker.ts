// The real engine, as the tests ask it directly: what docker itself says is the measure.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";

export const image = "bettertest-base";

/** False, or why not: to be given to a test's `skip`. */
export function noDocker(): false | string {
  const { status } = spawnSync("docker", ["version"], { stdio: "ignore" });
  if (status !== 0) return "no Docker engine answers";
  execFileSync(process.execPath, [
    fileURLToPath(new URL("../../../scripts/base-image.mjs", import.meta.url)),
  ]);
  return false;
}

export interface DockerRun {
  readonly exitCode: number | null;
  readonly sha256: string;
  readonly bytes: number;
  /** Its beginning, for messages. */
  readonly head: string;
}

/** What `docker run` prints and how it ends, standard output and error through one pipe. */
export function dockerRun(command: string): Promise<DockerRun> {
  return new Promise((resolve) => {
    const script = 'exec docker run --rm --init "$0" sh -c "$1" 2>&1 </dev/null';
    const child = spawn("sh", ["-c", script, image, command], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const digest = new Digest();
    child.stdout.on("data", (chunk: Buffer) => digest.update(chunk));
    child.on("close", (exitCode) => resolve({ exitCode, ...digest.result() }));
  });
}

export class Digest {
  readonly #hash = createHash("sha256");
  #bytes = 0;
  #head = "";

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.#bytes += chunk.length;
    if (this.#head.length < 200)
      this.#head += Buffer.from(chunk.subarray(0, 200)).toString("latin1");
  }

  result() {
    return { sha256: this.#hash.digest("hex"), bytes: this.#bytes, head: this.#head.slice(0, 200) };
  }
}

/** All that have the label, "name=value". */
export function removeImages(label: string): void {
  const docker = (...words: string[]) =>
    execFileSync("docker", words, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const ids = docker("images", "-q", "--filter", `label=${label}`).split("\n");
  for (const id of new Set(ids.filter(Boolean))) {
    try {
      docker("rmi", "-f", id);
    } catch {
      // It went with another one.
    }
  }
}
