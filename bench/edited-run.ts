// What somebody waits for who has changed a file and presses Enter: `bettertest run` from the shell, in a large
// repo, on a worker that is elsewhere, until the first line of the first test.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { type Bench, interleaved, type Row } from "./measure.js";
import { connected, settled } from "./sandboxes.js";
import { edit, edited, makeRepo } from "./sources.js";
import {
  commandMs,
  dockerRun,
  image,
  program,
  startBossStand,
  startWorkerStand,
  writePipedef,
} from "./stand.js";

export const editedRunBench: Bench = {
  name: "edit",
  what: "bettertest run --worker URL in a repo with one changed file, until the test's first line",
  needs: ["docker", "git"],

  async run({ rounds, quick, folder }) {
    const root = join(folder, "repo");
    const size = quick ? { files: 500, bytes: 10e6 } : { files: 10_000, bytes: 200e6 };
    makeRepo(root, size);
    // Not committed, and one change more each time: the tree is dirty.
    const text = `import { run, stage, workspace } from "bettertest";
stage("unit").task("one", () => run("${image}", "tail -n 1 ${edited}", { source: workspace() }));
`;
    const pipedef = writePipedef(root, text);
    await using stand = await startWorkerStand(join(folder, "worker"), ["--pool-max", "2"]);
    await using worker = connected(stand.url);
    await using boss = await startBossStand(join(folder, "boss"), text, stand, root);
    const run = (...where: readonly string[]) => {
      const line = edit(root);
      return firstLineMs(["run", pipedef, "--output", "all", ...where], root, line);
    };
    const ways = [
      { how: "run --worker", where: ["--worker", stand.url] },
      { how: "run --boss", where: ["--boss", boss.url] },
    ];
    const rows: Row[] = [];
    for (const { how, where } of ways) {
      // The first one brings the tree, and the worker learns what its pool is asked for.
      await run(...where);
      const pairs = await interleaved(
        rounds,
        async () => {
          await worker.expect([{ image, count: 2 }]);
          await settled(async () => (await worker.info()).ready, 2);
          return run(...where);
        },
        () => commandMs("docker", dockerRun("echo hi")),
      );
      rows.push({
        what: `${how} from the shell, one of ${size.files.toLocaleString("en")} files changed, to the test's first line`,
        against: "docker run --rm of a trivial command",
        unit: "ms",
        rounds: pairs,
        target: { of: "measured", atMost: 300 },
        note: "The changed file is what the test prints",
      });
    }
    return rows;
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
