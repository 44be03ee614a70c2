import { accessPaths } from "../access/access-paths.js";
import { readAudit } from "../access/audit.js";
import { exitCodes } from "../model/exit-code.js";
import { oneLine } from "../terminal/text.js";
import { defaultBossPort } from "../wire/well-known.js";
import { infrastructureError } from "./cli-error.js";
import { dataFolder } from "./data-folder.js";
import { tableLines } from "./table.js";

export function printAudit({
  data,
  port = defaultBossPort,
  limit,
  json,
}: {
  readonly data?: string | undefined;
  readonly port?: number | undefined;
  readonly limit: number;
  readonly json: boolean;
}): number {
  const { audit } = accessPaths(dataFolder("boss", { data, port }));
  let entries: ReturnType<typeof readAudit>;
  try {
    entries = readAudit(audit);
  } catch (error) {
    throw infrastructureError(error instanceof Error ? error.message : String(error));
  }
  const shown = limit === 0 ? [] : entries.slice(-limit);
  if (json) {
    for (const entry of shown) process.stdout.write(`${JSON.stringify(entry)}\n`);
    return exitCodes.passed;
  }
  if (shown.length === 0) {
    process.stdout.write(`nothing yet in ${audit}\n`);
    return exitCodes.passed;
  }
  const columns = ["TIME", "ACTION", "BY", "VIA", "FROM", ""].map((title) => ({ title }));
  const rows = shown.map(({ at, action, by, via, address, details }) => {
    const more = Object.entries(details).map(([name, value]) => `${name} ${value}`);
    return [at, action, by, via, address ?? "", more.join(", ")].map(oneLine);
  });
  process.stdout.write(`${tableLines(columns, rows).join("\n")}\n`);
  return exitCodes.passed;
}
