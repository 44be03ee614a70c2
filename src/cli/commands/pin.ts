import { defineCommand } from "../command.js";
import { bossAccessFlags, jsonFlag } from "../flags.js";

export const pinCommand = pinning("pin", "Keep a run of a boss for ever");
export const unpinCommand = pinning("unpin", "Keep a run no longer than others");

function pinning(name: "pin" | "unpin", summary: string) {
  return defineCommand({
    name,
    usage: `${name} <run>`,
    summary,
    positionals: { run: { type: "string", demandOption: true, describe: "Its number" } },
    flags: { ...bossAccessFlags, ...jsonFlag },
    examples: [[`$0 ${name} 12`, ""]],

    async run(args) {
      const { openBossClient, printJson } = await import("../boss-access.js");
      const { runId } = await import("../run-id.js");
      const id = runId(args.run);
      const pinned = name === "pin";
      await openBossClient(args).pin(id, pinned);
      if (args.json) printJson({ run: id, pinned });
      else process.stdout.write(`run ${id} is ${pinned ? "pinned" : "not pinned any more"}\n`);
      return 0;
    },
  });
}
