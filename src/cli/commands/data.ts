import { defineCommand } from "../command.js";
import { jsonFlag } from "../flags.js";

export const dataCommand = defineCommand({
  name: "data",
  usage: "data [action] [what]",
  summary: "Sizes of a boss's data folder; check it, export and import runs",
  positionals: {
    action: { choices: ["sizes", "check", "export", "import"], default: "sizes" },
    what: { type: "string", describe: "The run to export, or the file to import" },
  },
  flags: {
    data: {
      type: "string",
      requiresArg: true,
      describe: "The boss's folder (default: that of the boss on port 9001)",
    },
    output: {
      type: "string",
      alias: "o",
      requiresArg: true,
      describe: "Where to export to (default: run-N.bettertest)",
    },
    ...jsonFlag,
  },
  examples: [
    ["$0 data check", ""],
    ["$0 data export 12 -o run.bettertest", ""],
    ["$0 data import run.bettertest", ""],
  ],

  async run(args) {
    const { data } = await import("../data.js");
    return data(args);
  },
});
