// What the last run of a pipedef asked of the boss's own workers, for a boss whose history ends with it: the
// next one can have it made while the pipedef loads. A file in the user's cache folder.

import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as z from "zod";
import { ExpectedSandboxes } from "../../wire/worker.js";

/** In the order of the stages. */
const RememberedNeeds = z.array(z.object({ stage: z.string(), expected: ExpectedSandboxes }));
export type RememberedNeeds = z.infer<typeof RememberedNeeds>;

export interface NeedsMemory {
  /** Nothing where there was no run, or nobody can tell. */
  recall(): RememberedNeeds;
  keep(needs: RememberedNeeds): void;
}

export function createNeedsMemory(cacheFolder: string, pipedef: string): NeedsMemory {
  const name = createHash("sha256").update(pipedef).digest("hex");
  const file = join(cacheFolder, "needs", `${name}.json`);
  const read = () => {
    try {
      return readFileSync(file, "utf8");
    } catch {
      return "[]";
    }
  };
  return {
    recall() {
      try {
        return RememberedNeeds.parse(JSON.parse(read()));
      } catch {
        return [];
      }
    },
    keep(needs) {
      const text = JSON.stringify(needs);
      if (text === read()) return;
      const made = `${file}.${randomUUID()}`;
      try {
        mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
        writeFileSync(made, text, { mode: 0o600 });
        renameSync(made, file);
      } catch {
        // Without it the next run starts as if it were the first.
        rmSync(made, { force: true });
      }
    },
  };
}
