import { defineCommand } from "../command.js";
import { bossAccessFlags, jsonFlag } from "../flags.js";

export const runsCommand = defineCommand({
  name: "runs",
  usage: "runs",
  summary: "List a boss's runs, newest first",
  positionals: {},
  flags: {
    ...bossAccessFlags,
    limit: { type: "number", requiresArg: true, default: 20, describe: "Most runs to list" },
    pipeline: { type: "string", requiresArg: true, describe: "Only runs of this pipeline" },
    ...jsonFlag,
  },
  examples: [],

  async run(args) {
    const { limit, pipeline, json } = args;
    const { openBossClient, printJson } = await import("../boss-access.js");
    const runs = await openBossClient(args).runs({ limit, ...(pipeline && { pipeline }) });
    if (json) printJson({ runs });
    else {
      const { runsLines } = await import("../runs-table.js");
      process.stdout.write(`${runsLines(runs).join("\n")}\n`);
    }
    return 0;
  },
});
