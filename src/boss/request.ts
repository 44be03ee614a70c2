import type { Context } from "hono";
import { BadRequest } from "../wire/body.js";

export class NotFound extends Error {}

export function numberParameter(
  c: Context,
  name: string,
  { min, max = Number.MAX_SAFE_INTEGER }: { readonly min: number; readonly max?: number },
): number | undefined {
  const text = c.req.query(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max) {
    const range = max < Number.MAX_SAFE_INTEGER ? `${min} to ${max}` : `${min}`;
    throw new BadRequest(
      `${name} must be a whole number from ${range}, not ${JSON.stringify(text)}`,
      { field: name },
    );
  }
  return value;
}
