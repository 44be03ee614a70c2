import { defineCommand } from "../command.js";
import { bossAccessFlags, jsonFlag } from "../flags.js";

export const cancelCommand = defineCommand({
  name: "cancel",
  usage: "cancel <run>",
  summary: "Cancel a run of a boss",
  positionals: { run: { type: "string", demandOption: true, describe: "Its number" } },
  flags: { ...bossAccessFlags, ...jsonFlag },
  examples: [["$0 cancel 12", ""]],

  async run(args) {
    const { run, json } = args;
    const { openBossClient, printJson } = await import("../boss-access.js");
    const { runId } = await import("../run-id.js");
    const id = runId(run);
    await openBossClient(args).cancel(id);
    if (json) printJson({ run: id, cancelled: true });
    else process.stdout.write(`run ${id} is being cancelled\n`);
    return 0;
  },
});
