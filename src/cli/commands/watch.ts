import { exitCodes } from "../../model/exit-code.js";
import { defineCommand } from "../command.js";
import {
  dataFlag,
  engineFlags,
  hostFlags,
  jsonFlag,
  maxArtifactsFlag,
  maxOutputFlag,
  secretsFlag,
  selectionFlags,
  workerFlags,
} from "../flags.js";

export const watchCommand = defineCommand({
  name: "watch",
  usage: "watch [pipedef]",
  summary: "Run a pipedef's tasks again at every save",
  positionals: {
    pipedef: { type: "string", describe: "Default: the .bettertest/pipedef.* of this repo" },
  },
  flags: {
    ...selectionFlags,
    clear: {
      type: "boolean",
      default: true,
      describe: "Clear the terminal before each run (--no-clear: a line between them)",
    },
    ...jsonFlag,
    ...maxOutputFlag,
    ...maxArtifactsFlag,
    ...dataFlag,
    ...engineFlags,
    ...secretsFlag,
    ...workerFlags,
    ...hostFlags(),
  },
  examples: [
    ["$0 watch", "Everything, those that failed last first"],
    ["$0 watch --only unit --worker http://big-machine:9009", "One stage, on another machine"],
  ],

  async run(args) {
    const { findPipedef, shortPath } = await import("../find-pipedef.js");
    const { trapInterrupts } = await import("../interrupt.js");
    const pipedef = findPipedef(args.pipedef, process.cwd());
    const interrupts = trapInterrupts();
    const [{ openSession }, { watchInSession }, { createNotes }] = await Promise.all([
      import("../session.js"),
      import("../watch/watch.js"),
      import("../notes.js"),
    ]);
    const notes = createNotes();
    const session = await openSession(pipedef, args, notes.add, { runs: "many" });
    try {
      if (interrupts.signal.aborted) return exitCodes.passed;
      return await watchInSession(
        session,
        { interrupts, notes },
        {
          path: pipedef,
          pipedef: shortPath(pipedef),
          named: args.pipedef,
          only: args.only,
          keepGoing: args["keep-going"],
          output: args.output,
          json: args.json,
          clear: args.clear,
          executor: args.executor,
          workers: args.worker,
          secretsFile: args["secrets-file"],
        },
      );
    } finally {
      await session.close();
      interrupts.stop();
    }
  },
});
