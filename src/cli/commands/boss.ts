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
} from "../flags.js";

export const bossCommand = defineCommand({
  name: "boss",
  usage: "boss",
  summary: "Serve pipelines, their runs and the page, on port 9001",
  positionals: {},
  flags: {
    ...serverFlags,
    ...pipedefFlags,
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
  examples: [["$0 boss --pipedef a/.bettertest/pipedef.ts --worker http://w1:9009", ""]],

  async run(args) {
    const { serveBoss } = await import("../serve.js");
    return serveBoss(args);
  },
});
