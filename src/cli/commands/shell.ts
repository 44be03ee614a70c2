import { defineCommand } from "../command.js";
import { bossAccessFlags, jsonFlag, whichSandboxFlags } from "../flags.js";

export const shellCommand = defineCommand({
  name: "shell",
  usage: "shell [run] [task]",
  summary: "Enter the kept sandbox of a failed task; without a task: list them",
  positionals: {
    run: { type: "string", describe: "Its number" },
    task: { type: "string", describe: "Stage.task" },
  },
  flags: {
    ...whichSandboxFlags,
    release: {
      type: "boolean",
      default: false,
      describe: "Remove the sandbox when the shell is left",
    },
    ...bossAccessFlags,
    ...jsonFlag,
  },
  examples: [
    ["$0 shell", "What is kept"],
    ["$0 shell 12 TestUnit.task_models", "A terminal in it"],
    ["echo 'cat log' | $0 shell 12 TestUnit.task_models", "Commands of a script"],
  ],

  async run(args) {
    const { run: id, task, attempt, call, release, json } = args;
    const [{ openBossClient, printJson }, { runId }, { keptLines }, { bossArgument }] =
      await Promise.all([
        import("../boss-access.js"),
        import("../run-id.js"),
        import("../kept-list.js"),
        import("../say-again.js"),
      ]);
    const client = openBossClient(args);
    if (id === undefined || task === undefined) {
      const wanted = id === undefined ? null : runId(id);
      const all = await (await client.kept()).list();
      const kept = all.filter(({ run }) => wanted === null || run === wanted);
      if (json) printJson({ kept });
      else process.stdout.write(`${keptLines(kept, bossArgument(args)).join("\n")}\n`);
      return 0;
    }
    const [{ enterSandbox }, { taskNamed }] = await Promise.all([
      import("../shell.js"),
      import("../logs.js"),
    ]);
    const { run } = await client.run(runId(id));
    return enterSandbox(client, run, taskNamed(run, task), {
      attempt,
      call,
      release,
      bossArgument: bossArgument(args),
    });
  },
});
