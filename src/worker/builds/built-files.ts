// What commands have built, by all that it is made of. It is kept among the worker's caches: whole or not at all, within
// their bounds, and verified before it is served for the first time.
//
//   pack          the files, as they go to whoever asked for them, see wire/file-pack.ts
//   build.json    what else there is to know

import { constants } from "node:fs";
import { copyFile, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { orAborted } from "../../lib/or-else.js";
import { BuildOrigin } from "../../wire/image-build.js";
import { CollectedFiles } from "../../wire/worker.js";
import type { CacheName, CacheStore, HeldCache } from "../caches/cache-store.js";

const Record = z.object({
  files: CollectedFiles,
  madeAt: z.number(),
  by: BuildOrigin.nullable(),
});
export type BuiltRecord = z.infer<typeof Record>;

/** Whoever has it makes the files of its key; others wait for its end. */
export interface Turn {
  /** Safe to call twice. */
  end(): void;
}

export interface FindOptions {
  /** Where the files are put. */
  readonly packPath: string;
  readonly signal: AbortSignal;
  /** Others are making them right now. */
  readonly waits: () => void;
}

export class BuiltFiles {
  readonly #caches: CacheStore;
  readonly #making = new Map<string, Promise<void>>();

  constructor(caches: CacheStore) {
    this.#caches = caches;
  }

  /**
   * The files of that key; or the turn to make them. Of those who ask at a time one gets the turn. Where it leaves
   * nothing all others get theirs at once: most likely they end like it, and nobody should wait for that in line.
   */
  async find(
    name: CacheName,
    { packPath, signal, waits }: FindOptions,
  ): Promise<BuiltRecord | Turn> {
    const id = `${name.group} ${name.key}`;
    let hasWaited = false;
    for (;;) {
      const others = this.#making.get(id);
      if (others && !hasWaited) {
        waits();
        await orAborted(others, signal);
        hasWaited = true;
      }
      const held = await this.#caches.hold(name, []);
      if (held) return await taken(held, packPath);
      if (hasWaited || !this.#making.has(id)) return this.#begin(id);
    }
  }

  #begin(id: string): Turn {
    let end = () => {};
    const making = new Promise<void>((resolve) => {
      end = resolve;
    });
    if (!this.#making.has(id)) this.#making.set(id, making);
    return {
      end: () => {
        if (this.#making.get(id) === making) this.#making.delete(id);
        end();
      },
    };
  }

  /** Why it is not kept, the end of a sentence; null: it is. Rejects only when the signal is aborted. */
  async save(
    name: CacheName,
    record: BuiltRecord,
    { packPath, signal }: { readonly packPath: string; readonly signal: AbortSignal },
  ): Promise<string | null> {
    if (this.#caches.has(name)) return null;
    const about = `${packPath}.build`;
    try {
      await writeFile(about, JSON.stringify(record), { mode: 0o600 });
      const items = [
        { from: packPath, at: "pack", parents: 0 },
        { from: about, at: "build.json", parents: 0 },
      ];
      const saved = await this.#caches.save(name, items, signal);
      return saved.ok ? null : saved.reason;
    } finally {
      await rm(about, { force: true }).catch(() => {});
    }
  }
}

async function taken(held: HeldCache, packPath: string): Promise<BuiltRecord> {
  try {
    await copyFile(join(held.tree, "pack"), packPath, constants.COPYFILE_FICLONE);
    return Record.parse(JSON.parse(await readFile(join(held.tree, "build.json"), "utf8")));
  } finally {
    held.release();
  }
}
