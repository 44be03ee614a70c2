// Other ways to type a command, turned into the one spelling the rest knows.

const optionWithUrl = /^(https?:\/\/|[\w.-]+:\d+)/;

/**
 * `bettertest --worker [flags]` and `bettertest --boss --pipedef P` are the worker and the boss; the same
 * words with a URL after them are flags. `bettertest help run` is `bettertest run --help`.
 */
export function normalizeSpelling(args: readonly string[]): string[] {
  const [first] = args;
  if (first === "help") {
    const rest = args.slice(1).filter((arg) => !arg.startsWith("-"));
    return [...rest.slice(0, 1), "--help"];
  }
  if (first?.startsWith("-")) {
    for (const role of ["boss", "worker"]) {
      const at = args.findIndex(
        (arg, index) => arg === `--${role}` && !optionWithUrl.test(args[index + 1] ?? ""),
      );
      if (at >= 0) return [role, ...args.slice(0, at), ...args.slice(at + 1)];
    }
  }
  return [...args];
}
