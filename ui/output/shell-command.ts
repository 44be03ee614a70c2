// A call as a command for one's own machine.

/** Quotes a word for every POSIX shell. */
export function quote(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

export interface ReproducedCall {
  readonly image: string;
  readonly command: string;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Given by name only: their values are nobody's to copy. */
  readonly secrets?: readonly string[] | undefined;
  readonly workdir?: string | undefined;
  readonly user?: string | undefined;
  readonly cpus?: number | undefined;
  readonly memoryBytes?: number | undefined;
  readonly network?: boolean | undefined;
  readonly timeoutMs?: number | undefined;
}

export function dockerCommand(call: ReproducedCall): string {
  const words = ["docker", "run", "--rm", "--init"];
  for (const [name, value] of Object.entries(call.env ?? {})) words.push("-e", `${name}=${value}`);
  // Docker takes the value from the environment of whoever runs it.
  for (const name of call.secrets ?? []) words.push("-e", name);
  if (call.workdir !== undefined) words.push("-w", call.workdir);
  if (call.user !== undefined) words.push("-u", call.user);
  if (call.cpus !== undefined) words.push("--cpus", String(call.cpus));
  if (call.memoryBytes !== undefined) {
    words.push("--memory", String(call.memoryBytes), "--memory-swap", String(call.memoryBytes));
  }
  if (call.network === false) words.push("--network", "none");
  words.push("--entrypoint", "sh", call.image, "-c", call.command);
  const seconds = Math.ceil((call.timeoutMs ?? 0) / 1000);
  const limit = seconds > 0 ? ["timeout", String(seconds)] : [];
  return [...limit, ...words].map(quote).join(" ");
}
