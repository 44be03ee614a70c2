// The files a run's pipedef was loaded from, kept as long as the run is under way: whoever edits them does not
// change what a run does that the boss goes on with after a restart.

import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";

export type Sources = ReadonlyMap<string, Uint8Array>;

export interface KeptPipedef {
  readonly files: Sources;
  /** Of the secrets that the boss had. */
  readonly secrets: string | undefined;
}

const Kept = z.object({
  secrets: z.string().optional(),
  files: z.array(z.object({ path: z.string(), base64: z.string() })),
});

/** As the files are now; those that are not there any more are left out. */
export async function readSources(paths: readonly string[]): Promise<Sources> {
  const found = await Promise.all(
    paths.map(async (path) => [path, await readFile(path).catch(() => null)] as const),
  );
  return new Map(
    found.flatMap(([path, bytes]) => (bytes === null ? [] : [[path, bytes] as const])),
  );
}

export class KeptSources {
  readonly #folderOf: (run: number) => Promise<string>;

  /** `folderOf`: where a run's files lie; made if it is not there. */
  constructor(folderOf: (run: number) => Promise<string>) {
    this.#folderOf = folderOf;
  }

  async keep(run: number, sources: Sources, secrets: string): Promise<void> {
    const files = [...sources].map(([path, bytes]) => ({
      path,
      base64: Buffer.from(bytes).toString("base64"),
    }));
    const path = await this.#pathOf(run);
    // All of it or nothing, whenever the boss is killed.
    await writeFile(
      `${path}.new`,
      JSON.stringify({ secrets, files } satisfies z.infer<typeof Kept>),
    );
    await rename(`${path}.new`, path);
  }

  /** Null where nothing is kept, or it cannot be read. */
  async of(run: number): Promise<KeptPipedef | null> {
    try {
      const kept = Kept.parse(JSON.parse(await readFile(await this.#pathOf(run), "utf8")));
      const files = kept.files.map(
        ({ path, base64 }) => [path, Buffer.from(base64, "base64")] as const,
      );
      return { files: new Map(files), secrets: kept.secrets };
    } catch {
      return null;
    }
  }

  async forget(run: number): Promise<void> {
    for (const ending of ["", ".new"])
      await rm((await this.#pathOf(run)) + ending, { force: true });
  }

  async #pathOf(run: number): Promise<string> {
    return join(await this.#folderOf(run), "pipedef.json");
  }
}
