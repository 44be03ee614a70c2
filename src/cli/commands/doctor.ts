import { defineCommand } from "../command.js";
import { dataFlag, jsonFlag } from "../flags.js";

export const doctorCommand = defineCommand({
  name: "doctor",
  usage: "doctor",
  summary: "Say what is wrong with this machine, and what to do",
  positionals: {},
  flags: {
    docker: {
      type: "string",
      requiresArg: true,
      describe: "The Docker engine (default: DOCKER_HOST, or the local socket)",
    },
    ...dataFlag,
    ...jsonFlag,
  },
  examples: [],

  async run(args) {
    const { examine } = await import("../doctor/doctor.js");
    return examine(args);
  },
});
