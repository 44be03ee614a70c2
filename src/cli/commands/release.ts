import { defineCommand } from "../command.js";
import { bossAccessFlags, jsonFlag, whichSandboxFlags } from "../flags.js";

export const releaseCommand = defineCommand({
  name: "release",
  usage: "release <run> <task>",
  summary: "Remove the kept sandbox of a failed task",
  positionals: {
    run: { type: "string", demandOption: true, describe: "Its number" },
    task: { type: "string", demandOption: true, describe: "Stage.task" },
  },
  flags: { ...whichSandboxFlags, ...bossAccessFlags, ...jsonFlag },
  examples: [["$0 release 12 TestUnit.task_models", ""]],

  async run(args) {
    const [{ openBossClient, printJson }, { runId }, { taskNamed }] = await Promise.all([
      import("../boss-access.js"),
      import("../run-id.js"),
      import("../logs.js"),
    ]);
    const client = openBossClient(args);
    const { run } = await client.run(runId(args.run));
    const ref = taskNamed(run, args.task);
    const { attempt, call } = args;
    await (await client.kept()).release({ run: run.id, ...ref, attempt, call });
    if (args.json) printJson({ run: run.id, ...ref, released: true });
    else process.stdout.write("its sandbox is removed\n");
    return 0;
  },
});
