// Little output comes between the events of its command. Apart from the other words of a worker: the page knows those too,
// and a browser has no Buffer.

import * as z from "zod";

/** Not ExecutionEvents: they have no number, and nobody resumes after one. */
export const outputMessages = { some: "output", more: "more-output" } as const;

/** Any bytes as a JSON text, which people can read where the bytes are ASCII. */
export function encodeOutput(bytes: Uint8Array): string {
  return JSON.stringify(Buffer.from(bytes).toString("latin1"));
}

export function decodeOutput(text: string): Uint8Array {
  return Buffer.from(z.string().parse(JSON.parse(text)), "latin1");
}
