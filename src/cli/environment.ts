// Facts about this process, asked in one place.

import { isAbsolute } from "node:path";
import { fileURLToPath } from "node:url";
import { createStyle, type Style, wantsColour, wantsLiveView } from "../terminal/style.js";

/** The installation this file belongs to: dist/src/cli is three folders below it. */
export const packageRoot = fileURLToPath(new URL("../../../", import.meta.url));

export function styleOf(stream: NodeJS.WriteStream): Style {
  return createStyle(wantsColour({ isTty: stream.isTTY === true, env: process.env }));
}

export function isLive(stream: NodeJS.WriteStream): boolean {
  return wantsLiveView({ isTty: stream.isTTY === true, env: process.env });
}

/** How this program was called, so that suggested commands can be pasted. */
export function programName(script = process.argv[1] ?? ""): string {
  const installed = isAbsolute(script) && !/node_modules|_npx|\.js$/.test(script);
  return installed ? "bettertest" : "npx bettertest";
}
