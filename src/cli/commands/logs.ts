import { defineCommand } from "../command.js";
import { bossAccessFlags, jsonFlag } from "../flags.js";

export const logsCommand = defineCommand({
  name: "logs",
  usage: "logs <run> [task]",
  summary: "Print what a run's tasks printed",
  positionals: {
    run: { type: "string", demandOption: true, describe: "Its number" },
    task: { type: "string", describe: "Stage.task; default: all of them" },
  },
  flags: {
    follow: {
      type: "boolean",
      default: false,
      alias: "f",
      describe: "Go on until the task or run has ended",
    },
    service: {
      type: "string",
      requiresArg: true,
      describe: "Instead, what this service of the task printed",
    },
    ...bossAccessFlags,
    ...jsonFlag,
  },
  examples: [
    ["$0 logs 12 TestUnit.task_models -f", ""],
    ["$0 logs 12 TestUnit.task_models --service db", "What stood beside it"],
  ],

  async run(args) {
    const { run, task, follow, service, json } = args;
    const [{ openBossClient }, { runId }, { printLogs }, { bossArgument }] = await Promise.all([
      import("../boss-access.js"),
      import("../run-id.js"),
      import("../logs.js"),
      import("../say-again.js"),
    ]);
    return printLogs(openBossClient(args), runId(run), {
      task,
      follow,
      service,
      json,
      bossArgument: bossArgument(args),
    });
  },
});
