import { defineCommand } from "../command.js";
import { dataFlag, jsonFlag } from "../flags.js";

export const auditCommand = defineCommand({
  name: "audit",
  usage: "audit",
  summary: "Who started and cancelled runs, logged in, changed tokens",
  positionals: {},
  flags: {
    port: {
      type: "number",
      requiresArg: true,
      describe: "Of the boss on this port (default: 9001)",
    },
    ...dataFlag,
    limit: {
      type: "number",
      requiresArg: true,
      default: 50,
      describe: "Most entries, the last ones",
    },
    ...jsonFlag,
  },
  examples: [],

  async run(args) {
    const { printAudit } = await import("../print-audit.js");
    return printAudit(args);
  },
});
