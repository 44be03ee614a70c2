import { defineCommand } from "../command.js";
import { hostFlags, jsonFlag } from "../flags.js";

export const checkCommand = defineCommand({
  name: "check",
  usage: "check [pipedef]",
  summary: "Load and type-check a pipedef; run nothing",
  positionals: {
    pipedef: { type: "string", describe: "Default: the .bettertest/pipedef.* of this repo" },
  },
  flags: {
    types: { type: "boolean", default: true, describe: "Check types too; --no-types: only load" },
    ...jsonFlag,
    ...hostFlags(),
  },
  examples: [["$0 check --json", "Stages, tasks and problems for machines"]],

  async run(args) {
    const [{ findPipedef }, { checkPipedef }] = await Promise.all([
      import("../find-pipedef.js"),
      import("../check/check.js"),
    ]);
    return checkPipedef(findPipedef(args.pipedef, process.cwd()), args);
  },
});
