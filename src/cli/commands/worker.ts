import { defineCommand } from "../command.js";
import {
  dataFlag,
  graceFlag,
  jsonFlag,
  keepFailedFlag,
  maxArtifactsFlag,
  maxOutputFlag,
  serverFlags,
  workerFlags,
} from "../flags.js";

export const workerCommand = defineCommand({
  name: "worker",
  usage: "worker",
  summary: "Run commands for bosses, on port 9009",
  positionals: {},
  flags: {
    ...serverFlags,
    ...workerFlags,
    ...graceFlag,
    ...keepFailedFlag,
    ...maxOutputFlag,
    ...maxArtifactsFlag,
    ...dataFlag,
    ...jsonFlag,
  },
  examples: [["$0 worker --host 0.0.0.0 --slots 8", "For other machines too"]],

  async run(args) {
    const { serveWorker } = await import("../serve.js");
    return serveWorker(args);
  },
});
