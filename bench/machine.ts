// What the machine does besides.

import { spawn } from "node:child_process";
import { availableParallelism, cpus, loadavg } from "node:os";
import { setTimeout as wait } from "node:timers/promises";
import type { Machine } from "./table.js";

const lookMs = 1000;

export async function lookAtMachine(): Promise<Machine> {
  const before = times();
  await wait(lookMs);
  const after = times();
  const all = after.all - before.all;
  const othersShare = all > 0 ? 1 - (after.idle - before.idle) / all : 0;
  return { load: loadavg()[0]!, othersShare };
}

function times(): { readonly idle: number; readonly all: number } {
  let idle = 0;
  let all = 0;
  for (const { times: of } of cpus()) {
    idle += of.idle;
    all += of.user + of.nice + of.sys + of.idle + of.irq;
  }
  return { idle, all };
}

/** As many endless loops as there are processors; they end with this process. */
export function keepBusy(): void {
  for (let n = 0; n < availableParallelism(); n++) {
    const loop = spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" });
    process.once("exit", () => loop.kill("SIGKILL"));
  }
}
