// The thread in which caches are copied and verified: thousands of small files, one after the other, which would keep
// the worker from everything else. It goes with its order.

import { chmodSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { asError } from "../../lib/as-error.js";
import { copyTree, digestOf, TooLarge } from "./copy-tree.js";

export interface CopyItem {
  readonly from: string;
  readonly to: string;
  /** So many folders above it are made like those above what is copied. */
  readonly parents?: number;
}

export type CopyOrder =
  | {
      readonly kind: "copy";
      readonly items: readonly CopyItem[];
      readonly maxBytes: number;
      readonly keep?: boolean;
      /** A folder around the targets, to be digested when all is copied. */
      readonly digest?: string;
    }
  | { readonly kind: "digest"; readonly folder: string };

export type CopyAnswer =
  | { readonly ok: true; readonly bytes: number; readonly digest: string }
  | { readonly ok: false; readonly message: string; readonly tooLarge: boolean };

function carryOut(order: CopyOrder): CopyAnswer {
  if (order.kind === "digest") return { ok: true, bytes: 0, digest: digestOf(order.folder) };
  let bytes = 0;
  for (const { from, to, parents = 0 } of order.items) {
    if (!order.keep) mkdirSync(dirname(to), { recursive: true, mode: 0o755 });
    bytes += copyTree(from, to, {
      maxBytes: order.maxBytes - bytes,
      ...(order.keep && { keep: true }),
    });
    let [above, aboveCopy] = [dirname(from), dirname(to)];
    for (let at = 0; at < parents; at++) {
      chmodSync(aboveCopy, statSync(above).mode & 0o7777);
      [above, aboveCopy] = [dirname(above), dirname(aboveCopy)];
    }
  }
  return { ok: true, bytes, digest: order.digest === undefined ? "" : digestOf(order.digest) };
}

function answer(order: CopyOrder): CopyAnswer {
  try {
    return carryOut(order);
  } catch (error) {
    return { ok: false, message: asError(error).message, tooLarge: error instanceof TooLarge };
  }
}

// The order comes from the function beside this file's name, in this process.
parentPort?.postMessage(answer(workerData as CopyOrder));
