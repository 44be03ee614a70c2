// Where a boss keeps its runs: for as long as it lives, or for good.

import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder } from "../../lib/make-folder.js";
import { makeOwnedFolder } from "../../lib/owned-folder.js";
import { Outputs } from "../output/outputs.js";
import { createMemoryStore } from "../store/memory.js";
import type { Store } from "../store/store.js";
import { historyFile, importPrefix, outputsFolder } from "./data-paths.js";

export type HistoryOptions =
  /** Gone with the engine; outputs lie in a folder of their own below `folder` (default: the system's). */
  | { readonly kind: "memory"; readonly folder?: string }
  | { readonly kind: "durable"; readonly folder: string };

export interface History {
  /** A run that a boss leaves unfinished goes on at the next start. */
  readonly durable: boolean;
  /** Where its files are. */
  readonly folder: string;
  readonly store: Store;
  readonly outputs: Outputs;
  close(): Promise<void>;
}

/** `onTrouble` is told whenever something could not be written. Rejects with a sentence where the folder is in use, or of a newer version. */
export async function openHistory(
  options: HistoryOptions,
  limits: { readonly maxOutputBytes: number; readonly onTrouble?: () => void },
): Promise<History> {
  if (options.kind === "memory") {
    const folder = await orSaying(() => makeOwnedFolder("boss", options.folder));
    const store = createMemoryStore();
    return {
      durable: false,
      folder: folder.path,
      store,
      outputs: new Outputs(folder.path, limits),
      async close() {
        store.close();
        await folder.remove();
      },
    };
  }
  // What tasks print may hold secrets of theirs.
  await orSaying(() => makeFolder(options.folder));
  const { openSqliteStore } = await import("../store/sqlite.js");
  const store = openSqliteStore(join(options.folder, historyFile), limits);
  const outputs = new Outputs(join(options.folder, outputsFolder), limits);
  await removeStrays(outputs.folder, store);
  return {
    durable: true,
    folder: options.folder,
    store,
    outputs,
    close: async () => store.close(),
  };
}

/** Folders of runs that a boss was killed in the middle of deleting, or of taking in. */
async function removeStrays(folder: string, store: Store): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const isStray = /^\d{1,15}$/.test(name)
      ? store.isGone(Number(name))
      : name.startsWith(importPrefix);
    if (isStray) await rm(join(folder, name), { recursive: true, force: true }).catch(() => {});
  }
}

async function orSaying<T>(make: () => Promise<T>): Promise<T> {
  try {
    return await make();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `the folder for runs cannot be made (${message}). Name another with --data DIR`,
      { cause },
    );
  }
}
