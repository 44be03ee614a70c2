import { exitCodes } from "../../model/exit-code.js";
import { usageError } from "../cli-error.js";
import { defineCommand } from "../command.js";
import { keepFailedFlag, runAtBossFlags, runHereFlags } from "../flags.js";

export const runCommand = defineCommand({
  name: "run",
  usage: "run [pipedef]",
  summary: "Run a pipedef's tasks here and now",
  positionals: {
    pipedef: { type: "string", describe: "Default: the .bettertest/pipedef.* of this repo" },
  },
  flags: { ...runHereFlags, ...keepFailedFlag, ...runAtBossFlags },
  examples: [
    ["$0 run", "Everything"],
    ["$0 run --only TestUnit.task_models", "One task"],
    ["$0 run --executor process", "Without Docker"],
    ["$0 run --boss localhost:9001", "By a boss that is there already"],
  ],

  async run(args) {
    if (args.boss !== undefined) {
      const { runAtBoss } = await import("../run-at-boss.js");
      return runAtBoss(args);
    }
    if (args["token-file"] !== undefined) {
      throw usageError(
        "--token-file is for a boss, which --boss names",
        "Tokens of workers: --worker-token-file",
      );
    }
    const { findPipedef } = await import("../find-pipedef.js");
    const { trapInterrupts } = await import("../interrupt.js");
    const pipedef = findPipedef(args.pipedef, process.cwd());
    const interrupts = trapInterrupts();
    const [{ startHomeEarly }, { beginScanEarly }] = await Promise.all([
      import("../host-settings.js"),
      import("../scan-early.js"),
    ]);
    const homes = startHomeEarly(pipedef, args, { spares: 0 });
    const begun = beginScanEarly(pipedef);
    const [{ openSession }, { runHereOf, runInSession }] = await Promise.all([
      import("../session.js"),
      import("../run-here.js"),
    ]);
    const { createNotes } = await import("../notes.js");
    const notes = createNotes();
    const session = await openSession(pipedef, args, {
      runs: "one",
      homes,
      log: notes.add,
    });
    try {
      if (interrupts.signal.aborted) return exitCodes.cancelled;
      const exitCode = await runInSession(
        session,
        { interrupts, notes },
        { ...runHereOf(args, pipedef), begun },
      );
      if (args["keep-failed"] !== undefined) {
        const { stayWhileKept } = await import("../stay-kept.js");
        const { signal } = interrupts;
        await stayWhileKept(session.engine, { signal, json: args.json, log: notes.add });
      }
      return exitCode;
    } finally {
      await session.close();
      interrupts.stop();
    }
  },
});
