// What somebody waits for who has changed a file and presses Enter: `bettertest run` from the shell, in a large
// repo, on a worker that is elsewhere, until the first line of the first test.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { type Bench, interleaved } from "./measure.js";
import { connected, settled } from "./sandboxes.js";
import { edit, edited, makeRepo } from "./sources.js";
import { commandMs, dockerRun, image, program, startWorkerStand, writePipedef } from "./stand.js";

export const editedRunBench: Bench = {
  name: "edit",
  what: "bettertest run --worker URL in a repo with one changed file, until the test's first line",
  needs: ["docker", "git"],

  async run({ rounds, quick, folder }) {
    const root = join(folder, "repo");
    const size = quick ? { files: 500, bytes: 10e6 } : { files: 10_000, bytes: 200e6 };
    makeRepo(root, size);
    // Not committed, and one change more each time: the tree is dirty.
    const pipedef = writePipedef(
      root,
      `import { run, stage, workspace } from "bettertest";
stage("unit").task("one", () => run("${image}", "tail -n 1 ${edited}", { source: workspace() }));
`,
    );
    await using stand = await startWorkerStand(join(folder, "worker"), ["--pool-max", "2"]);
    await using worker = connected(stand.url);
    const run = () => {
      const line = edit(root);
      return firstLineMs(["run", pipedef, "--worker", stand.url, "--output", "all"], root, line);
    };
    // The first one brings the tree, and the worker learns what its pool is asked for.
    await run();
    const pairs = await interleaved(
      rounds,
      async () => {
        await worker.expect([{ image, count: 2 }]);
        await settled(async () => (await worker.info()).ready, 2);
        return run();
      },
      () => commandMs("docker", dockerRun("echo hi")),
    );
    return [
      {
        what: `run --worker from the shell, one of ${size.files.toLocaleString("en")} files changed, to the test's first line`,
        against: "docker run --rm of a trivial command",
        unit: "ms",
        rounds: pairs,
        target: { of: "measured", atMost: 300 },
        note: "The changed file is what the test prints",
      },
    ];
  },
};

/** From the start of the program until it has printed the line. Resolves when it has ended, well. */
async function firstLineMs(args: readonly string[], cwd: string, line: string): Promise<number> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [program, ...args], {
    cwd,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let seenMs: number | null = null;
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (bytes: Buffer) => {
      printed += bytes.toString();
      if (printed.includes(line)) seenMs ??= performance.now() - startedAt;
    });
  }
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code === 0 && seenMs !== null) return seenMs;
  throw new Error(`bettertest ${args.join(" ")} ended with ${code}: ${printed}`);
}
