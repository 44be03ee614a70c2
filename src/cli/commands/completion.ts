import { defineCommand } from "../command.js";

export const completionCommand = defineCommand({
  name: "completion",
  usage: "completion <shell>",
  summary: "Print a completion script for bash, zsh or fish",
  positionals: {
    shell: {
      choices: ["bash", "zsh", "fish", "tasks"],
      demandOption: true,
      describe: "The shell; tasks lists the Stage.task names of the pipedef at hand",
    },
  },
  flags: {},
  examples: [
    ["source <($0 completion bash)", "For this shell"],
    ["$0 completion fish > ~/.config/fish/completions/bettertest.fish", "For all to come"],
  ],

  async run({ shell }) {
    const { completionScript, taskNames } = await import("../completion.js");
    const text = shell === "tasks" ? await taskNames() : await completionScript(shell);
    process.stdout.write(text);
    return 0;
  },
});
