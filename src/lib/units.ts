// What people write ("90s", "2g") to what programs count (milliseconds, bytes), and back.

const msPerUnit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** A number counts seconds. Null where it cannot be read. */
export function parseDurationMs(value: number | string): number | null {
  if (typeof value === "number") return countable(value * 1000);
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)?$/.exec(value.trim());
  if (!match) return null;
  return countable(Number(match[1]) * msPerUnit[(match[2] ?? "s") as keyof typeof msPerUnit]);
}

function countable(number: number): number | null {
  return Number.isFinite(number) && number > 0 ? number : null;
}

/** A number counts bytes; "512m" and "2g" count in steps of 1024, as Docker does. */
export function parseBytes(value: number | string): number | null {
  if (typeof value === "number") return Number.isInteger(value) && value > 0 ? value : null;
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(value.trim());
  if (!match) return null;
  const power = "kmgt".indexOf(match[2]!.toLowerCase() || " ") + 1;
  return countable(Math.floor(Number(match[1]) * 1024 ** power));
}

export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
