import { exitCodes } from "../../model/exit-code.js";
import { defineCommand } from "../command.js";
import { runHereFlags } from "../flags.js";

export const watchCommand = defineCommand({
  name: "watch",
  usage: "watch [pipedef]",
  summary: "Run a pipedef's tasks again at every save",
  positionals: {
    pipedef: { type: "string", describe: "Default: the .bettertest/pipedef.* of this repo" },
  },
  flags: {
    ...runHereFlags,
    clear: {
      type: "boolean",
      default: true,
      describe: "Clear the terminal before each run (--no-clear: a line between them)",
    },
  },
  examples: [
    ["$0 watch", "Everything, those that failed last first"],
    ["$0 watch --only unit --worker http://big-machine:9009", "One stage, on another machine"],
  ],

  async run(args) {
    const { findPipedef } = await import("../find-pipedef.js");
    const { trapInterrupts } = await import("../interrupt.js");
    const pipedef = findPipedef(args.pipedef, process.cwd());
    const interrupts = trapInterrupts();
    const { startHomeEarly } = await import("../host-settings.js");
    const homes = startHomeEarly(pipedef, args, { spares: 1 });
    const [{ openSession }, { runHereOf }, { watchInSession }, { createNotes }] = await Promise.all(
      [
        import("../session.js"),
        import("../run-here.js"),
        import("../watch/watch.js"),
        import("../notes.js"),
      ],
    );
    const notes = createNotes();
    const session = await openSession(pipedef, args, {
      runs: "many",
      homes,
      log: notes.add,
    });
    try {
      if (interrupts.signal.aborted) return exitCodes.passed;
      return await watchInSession(
        session,
        { interrupts, notes },
        { ...runHereOf(args, pipedef), clear: args.clear },
      );
    } finally {
      await session.close();
      interrupts.stop();
    }
  },
});
