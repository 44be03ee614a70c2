// What dockerode throws, read with care: its types say nothing of it.

import { within } from "../../lib/or-else.js";

/** The HTTP status the engine answered with; null where it did not answer. */
export function statusOf(error: unknown): number | null {
  if (!(error instanceof Error) || !("statusCode" in error)) return null;
  return typeof error.statusCode === "number" ? error.statusCode : null;
}

/** The engine's own words, without what the client puts around them. */
export function engineWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const json: unknown = "json" in error ? error.json : null;
  if (typeof json === "object" && json !== null && "message" in json) return String(json.message);
  // dockerode puts the status before the words: "(HTTP code 500) server error - no such host".
  const words = error.message.replace(/^\(HTTP code \d+\) [\w ]+ - /, "").trim();
  return words || ("code" in error ? String(error.code) : "no reason given");
}

/** Slow it may be, on a busy machine; but a broken connection can leave a call open for ever. */
const answerWithinMs = 120_000;

export async function answered<T>(call: Promise<T>, withinMs = answerWithinMs): Promise<T> {
  return within(withinMs, call, () => {
    throw new Error(`the Docker engine did not answer within ${withinMs / 1000} s`);
  });
}
