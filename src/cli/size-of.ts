import { parseBytes } from "../lib/units.js";
import { usageError } from "./cli-error.js";

export function sizeOf(flag: string, text: string): number {
  const bytes = parseBytes(text);
  if (bytes === null)
    throw usageError(`--${flag} ${text} is no size`, "Sizes look like 512m or 2g.");
  return bytes;
}
