// The end of a home that nobody asked for, in words.

export function describeExit(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal === null) return `the pipedef's process ended by itself, with exit code ${code}`;
  const cause = signal === "SIGKILL" ? " (by its own code, or because memory ran short)" : "";
  return `the pipedef's process was killed by ${signal}${cause}`;
}

export function outOfMemory(limitBytes: number): string {
  return `the pipedef ran out of memory (limit ${Math.floor(limitBytes / 2 ** 20)} MiB)`;
}
