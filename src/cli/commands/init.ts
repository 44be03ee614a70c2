import { defineCommand } from "../command.js";
import { jsonFlag } from "../flags.js";

export const initCommand = defineCommand({
  name: "init",
  usage: "init [folder]",
  summary: "Write a pipedef that fits this repo; overwrites nothing",
  positionals: { folder: { type: "string", describe: "Default: the current folder" } },
  flags: { ...jsonFlag },
  examples: [["$0 init", "Then follow what it prints"]],

  async run({ folder, json }) {
    const { initRepo } = await import("../init/init.js");
    return initRepo(folder ?? ".", { json });
  },
});
