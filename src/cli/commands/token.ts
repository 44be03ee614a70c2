import { defineCommand } from "../command.js";
import { jsonFlag, whoseTokenFlags } from "../flags.js";

export const tokenCommand = defineCommand({
  name: "token",
  usage: "token [action] [which]",
  summary: "Show, change and make the tokens of a boss or worker",
  positionals: {
    action: {
      choices: ["show", "rotate", "create", "list", "revoke"],
      default: "show",
      describe: "What to do",
    },
    which: { type: "string", describe: "For revoke: its name or id" },
  },
  flags: {
    ...whoseTokenFlags,
    "read-only": {
      type: "boolean",
      default: false,
      describe: "For create: may look at everything, and change nothing",
    },
    name: {
      type: "string",
      requiresArg: true,
      describe: "For create: what runs and the audit log call it",
    },
    ...jsonFlag,
  },
  examples: [
    ["$0 token", "What to send, and to log in with"],
    ["$0 token create --read-only --name dashboard", ""],
    ["$0 token rotate", "The old one, and its logins, end at once"],
  ],

  async run(args) {
    const { changeTokens } = await import("../tokens.js");
    return changeTokens(args);
  },
});
