import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A gate: whoever opens it to read waits until open() is called here. */
export function mkfifo() {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-gate-"));
  const path = join(folder, "gate");
  execFileSync("mkfifo", [path]);
  return {
    path,
    /** Waits for the reader, then lets it go. */
    async open() {
      const file = await open(path, "w");
      await file.close();
    },
    async [Symbol.asyncDispose]() {
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
