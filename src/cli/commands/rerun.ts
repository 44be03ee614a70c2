import { defineCommand } from "../command.js";
import { bossAccessFlags, jsonFlag, keepFailedFlag } from "../flags.js";

export const rerunCommand = defineCommand({
  name: "rerun",
  usage: "rerun <run>",
  summary: "Run a boss's run again",
  positionals: { run: { type: "string", demandOption: true, describe: "Its number" } },
  flags: {
    only: {
      type: "string",
      array: true,
      requiresArg: true,
      describe: "Just this Stage or Stage.task (may be given again)",
    },
    failed: { type: "boolean", default: false, describe: "Only the tasks that did not pass" },
    follow: {
      type: "boolean",
      default: false,
      alias: "f",
      describe: "Show the new run; the exit code is its verdict",
    },
    output: {
      choices: ["all", "failed", "none"],
      describe: "With --follow: whose output to print (default: failed; with --json: none)",
    },
    ...keepFailedFlag,
    ...bossAccessFlags,
    ...jsonFlag,
  },
  examples: [["$0 rerun 12 --failed --follow", ""]],

  async run(args) {
    const { run, failed, follow, output, json } = args;
    const { openBossClient, printJson } = await import("../boss-access.js");
    const { bossArgument } = await import("../say-again.js");
    const { keepFailedSettings } = await import("../keep-failed.js");
    const { runId } = await import("../run-id.js");
    const client = openBossClient(args);
    const id = await client.rerun(runId(run), {
      failed,
      ...(args.only && { only: [...args.only] }),
      ...keepFailedSettings(args),
    });
    if (follow) {
      const { followRemoteRun } = await import("../follow-remote.js");
      return followRemoteRun(client, id, { json, output, bossArgument: bossArgument(args) });
    }
    if (json) printJson({ run: id });
    else {
      process.stdout.write(
        `run ${id} has started; see it: bettertest logs ${id} --follow${bossArgument(args)}\n`,
      );
    }
    return 0;
  },
});
