// Checks what a pipedef hands to `build(...)`: a command as of `run(...)`, whose files count.

import { patternProblem } from "../src/lib/file-pattern.js";
import type { BuiltFiles } from "./api.js";
import type { CallRequest } from "./host/host.js";
import { commandRequest } from "./run-options.js";

const optionNames =
  "artifacts, reads, env, secrets, workdir, user, timeout, cpus, memory, disk, pids, network, source, cache";

/** Why a build cannot have them. */
const refused: Readonly<Record<string, string>> = {
  results: "tests always run, and a build may not have to. Give results to run(...)",
  services:
    "what they answer is nothing that its files could be known by. Give services to run(...)",
  check: "without its files there is nothing to go on with",
};

export function filesBuildRequest(given: readonly unknown[]): CallRequest {
  const texts = typeof given[2] === "string" ? 3 : 2;
  const options = given[texts];
  if (typeof options !== "object" || options === null || Array.isArray(options))
    throw new TypeError(`build: options must be an object with any of: ${optionNames}`);
  const { reads, ...asked }: { [name: string]: unknown } = { ...options };
  for (const [name, value] of Object.entries(asked)) {
    if (value === undefined) continue;
    if (Object.hasOwn(refused, name))
      throw new TypeError(`build: there is no option "${name}": ${refused[name]}`);
    if (!optionNames.split(", ").includes(name))
      throw new TypeError(`build: there is no option "${name}". There are: ${optionNames}`);
  }
  const { artifacts } = asked;
  if (artifacts === undefined || (Array.isArray(artifacts) && artifacts.length === 0))
    throw new TypeError('build: artifacts must say which files it is for, such as ["dist/**"]');
  const { worker, request } = checkedCommand(given.toSpliced(texts, 1, asked));
  // Those of its stage are for tests.
  const { services: _, ...command } = request;
  if (reads === undefined) return { worker, request: { ...command, filesBuild: {} } };
  if (!command.source)
    throw new TypeError(
      "build: reads names files of the source, and there is none: source: workspace()",
    );
  return { worker, request: { ...command, filesBuild: { reads: checkedReads(reads) } } };
}

/** What is wrong with it is said of the function that its author has called. */
function checkedCommand(given: readonly unknown[]): CallRequest {
  try {
    return commandRequest(given);
  } catch (error) {
    if (error instanceof TypeError) error.message = error.message.replace(/^run:/, "build:");
    throw error;
  }
}

function checkedReads(given: unknown): string[] {
  const patterns: unknown[] = Array.isArray(given) ? given : [given];
  if (patterns.length === 0 || patterns.length > 100)
    throw new TypeError("build: reads must hold 1 to 100 patterns");
  return patterns.map((pattern) => {
    const problem = typeof pattern === "string" ? patternProblem(pattern) : "must be a text";
    if (typeof pattern === "string" && problem === null) return pattern;
    throw new TypeError(`build: reads ${problem}, not ${JSON.stringify(pattern)}`);
  });
}

export function builtFiles({
  files,
  cached,
}: {
  readonly files: string;
  readonly cached: boolean;
}): BuiltFiles {
  return Object.freeze({ kind: "artifacts", tasks: [{ files }], cached } as const);
}
