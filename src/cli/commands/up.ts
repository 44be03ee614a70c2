import { defineCommand } from "../command.js";
import {
  concurrentRunsFlag,
  dataFlag,
  engineFlags,
  graceFlag,
  jsonFlag,
  keepFailedFlag,
  maxArtifactsFlag,
  maxOutputFlag,
  pipedefFlags,
  retentionFlags,
  secretsFlag,
  serverFlags,
  workerFlags,
} from "../flags.js";

export const upCommand = defineCommand({
  name: "up",
  usage: "up",
  summary: "Boss and worker in one process, with the page",
  positionals: {},
  flags: {
    ...serverFlags,
    "worker-port": {
      type: "number",
      requiresArg: true,
      group: "Server:",
      describe: "Port of the worker (default: 9009)",
    },
    ...pipedefFlags,
    ...workerFlags,
    ...engineFlags,
    ...secretsFlag,
    ...concurrentRunsFlag,
    ...retentionFlags,
    ...graceFlag,
    ...keepFailedFlag,
    ...maxOutputFlag,
    ...maxArtifactsFlag,
    ...dataFlag,
    ...jsonFlag,
  },
  examples: [["$0 up", "Then open http://localhost:9001"]],

  async run(args) {
    const { serveBoth } = await import("../serve.js");
    return serveBoth(args);
  },
});
