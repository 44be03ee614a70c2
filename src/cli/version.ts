import { readFileSync } from "node:fs";

/** From the package this file belongs to, built (dist/src/cli). */
export const packageRoot = new URL("../../../", import.meta.url);

export function packageVersion(): string {
  const text = readFileSync(new URL("package.json", packageRoot), "utf8");
  const { version }: { version: string } = JSON.parse(text);
  return version;
}
