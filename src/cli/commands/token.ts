import { defineCommand } from "../command.js";
import { dataFlag, jsonFlag } from "../flags.js";

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
    worker: { type: "boolean", default: false, describe: "Of a worker, not of a boss" },
    port: {
      type: "number",
      requiresArg: true,
      describe: "Of the boss or worker on this port (default: 9001, 9009)",
    },
    ...dataFlag,
    "token-file": {
      type: "string",
      requiresArg: true,
      describe: "The file with its token, where it has its own",
    },
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
