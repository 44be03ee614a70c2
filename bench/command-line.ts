import { type Bench, interleaved, type Row } from "./measure.js";
import { commandMs, dockerRun, image, program, writePipedef } from "./stand.js";

const against = "docker run --rm of the same command";

export const commandLineBench: Bench = {
  name: "cli",
  what: "from the shell: --version, and a run of one trivial task",
  needs: ["docker"],

  async run({ rounds, folder }) {
    const pipedef = writePipedef(
      folder,
      `import { run, stage } from "bettertest";\nstage("s").task("t", () => run("${image}", "echo hi"));\n`,
    );
    const docker = () => commandMs("docker", dockerRun("echo hi"));
    const cli = (...args: string[]) => commandMs(process.execPath, [program, ...args], folder);
    const rows: Row[] = [];
    const cases = [
      ["bettertest --version", ["--version"], { of: "ratio", atMost: 1 }],
      ["bettertest run, one trivial task", ["run", pipedef], { of: "ratio", atMost: 2 }],
    ] as const;
    await docker();
    for (const [what, args, target] of cases) {
      await cli(...args);
      const pairs = await interleaved(rounds, () => cli(...args), docker);
      rows.push({ what, against, unit: "ms", rounds: pairs, target });
    }
    return rows;
  },
};
