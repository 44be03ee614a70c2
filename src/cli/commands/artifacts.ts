import { defineCommand } from "../command.js";
import { bossAccessFlags, jsonFlag } from "../flags.js";

export const artifactsCommand = defineCommand({
  name: "artifacts",
  usage: "artifacts <run> [task]",
  summary: "List or download the files that a run's commands have left",
  positionals: {
    run: { type: "string", demandOption: true, describe: "Its number" },
    task: { type: "string", describe: "Stage or Stage.task; default: all of them" },
  },
  flags: {
    out: {
      type: "string",
      alias: "o",
      requiresArg: true,
      describe: "Download them into this folder, by Stage.task; what is there is not replaced",
    },
    ...bossAccessFlags,
    ...jsonFlag,
  },
  examples: [["$0 artifacts 12 -o out", "Into out/Stage.task/..."]],

  async run(args) {
    const [{ openBossClient }, { runId }, { listArtifacts }] = await Promise.all([
      import("../boss-access.js"),
      import("../run-id.js"),
      import("../artifacts.js"),
    ]);
    const { run, task, out, json } = args;
    return listArtifacts(openBossClient(args), runId(run), { task, out, json });
  },
});
