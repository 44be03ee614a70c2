// Sandboxes that are kept after a red command, and terminals in them. The contract of a worker:
//
//   GET    /kept/{execution}                      KeptSandbox; 404 with the reason, where that is known
//   DELETE /kept/{execution}                      204: it is gone
//   POST   /kept/{execution}/terminals            TerminalRequest -> 201 { terminal }
//   GET    .../terminals/{terminal}/output        frames, to be read once: when the stream ends or breaks, the
//                                                 terminal is hung up
//   POST   .../terminals/{terminal}/input         ?offset=N: bytes that were typed, from byte N of them on, so that
//                                                 a repeated request types nothing twice; end=1: there are no more.
//                                                 204; 503: it takes no more for now, try again
//   POST   .../terminals/{terminal}/size          TerminalSize -> 204
//
// A boss offers the same below /api/runs/{id}/tasks/{stage}/{task}. An execution's id is known to who ran it
// alone: among all clients of a worker only that one can enter.
//
// A frame is one byte (see terminal-frames.ts), a length in four bytes (big-endian), and so many bytes. An empty one of
// kind 0 is a sign of life. The last one tells how the shell ended, or what went wrong: where none does, the
// connection was lost.

import * as z from "zod";
import { longestKeptMs } from "./well-known.js";

export const keepFailedMs = z.number().int().positive().max(longestKeptMs);

/** Others do not learn the execution's id by it. */
export const KeptMark = z.object({
  id: z.string(),
  /** By the worker's clock; null: not while somebody is inside. */
  until: z.number().nullable(),
});
export type KeptMark = z.infer<typeof KeptMark>;

const cells = z.number().int().min(1).max(65_535);
export const TerminalSize = z.strictObject({ columns: cells, rows: cells });
export type TerminalSize = z.infer<typeof TerminalSize>;

export const TerminalRequest = z.strictObject({
  /** Absent: input and output are no terminal, and standard error is told apart. */
  size: TerminalSize.optional(),
  /** As in TERM. */
  term: z
    .string()
    .regex(/^[\w.+-]{1,64}$/)
    .optional(),
});
export type TerminalRequest = z.infer<typeof TerminalRequest>;

export const OpenedTerminal = z.object({ terminal: z.string() });

export const KeptSandbox = KeptMark.extend({
  /** Open in it. */
  terminals: z.number().int(),
});
export type KeptSandbox = z.infer<typeof KeptSandbox>;

export const TerminalEnd = z.union([
  z.object({ exitCode: z.number().int() }),
  /** It did not end by itself. */
  z.object({ problem: z.string() }),
]);
export type TerminalEnd = z.infer<typeof TerminalEnd>;

export type TerminalOutput =
  | { readonly kind: "stdout" | "stderr"; readonly bytes: Uint8Array }
  | { readonly kind: "end"; readonly end: TerminalEnd };
