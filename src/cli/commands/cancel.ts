import { defineCommand } from "../command.js";
import { bossUrlFlag, jsonFlag } from "../flags.js";

export const cancelCommand = defineCommand({
  name: "cancel",
  usage: "cancel <run>",
  summary: "Cancel a run of a boss",
  positionals: { run: { type: "string", demandOption: true, describe: "Its number" } },
  flags: { ...bossUrlFlag, ...jsonFlag },
  examples: [["$0 cancel 12", ""]],

  async run({ run, boss, json }) {
    const { openBossClient, printJson } = await import("../boss-access.js");
    const { runId } = await import("../settings.js");
    const id = runId(run);
    await openBossClient(boss).cancel(id);
    if (json) printJson({ run: id, cancelled: true });
    else process.stdout.write(`run ${id} is being cancelled\n`);
    return 0;
  },
});
