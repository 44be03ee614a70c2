import { defineCommand } from "../command.js";
import { bossAccessFlags, jsonFlag } from "../flags.js";

export const reproCommand = defineCommand({
  name: "repro",
  usage: "repro <run> <task>",
  summary: "Print the command that runs a task again: same image, source and environment",
  positionals: {
    run: { type: "string", demandOption: true, describe: "Its number" },
    task: { type: "string", demandOption: true, describe: "Stage.task" },
  },
  flags: {
    docker: {
      type: "boolean",
      default: false,
      describe: "For Docker alone, without bettertest: its last command, without a source",
    },
    ...bossAccessFlags,
    ...jsonFlag,
  },
  examples: [
    ["$0 repro 12 TestUnit.task_models", ""],
    ['sh -c "$($0 repro 12 TestUnit.task_models)"', "And run it at once"],
  ],

  async run(args) {
    const [{ openBossClient }, { runId }, { taskNamed }, { printRepro }, { bossArgument }] =
      await Promise.all([
        import("../boss-access.js"),
        import("../run-id.js"),
        import("../logs.js"),
        import("../repro.js"),
        import("../say-again.js"),
      ]);
    const { run } = await openBossClient(args).run(runId(args.run));
    const { docker, json } = args;
    return printRepro(run, taskNamed(run, args.task), {
      docker,
      json,
      bossArgument: bossArgument(args),
    });
  },
});
