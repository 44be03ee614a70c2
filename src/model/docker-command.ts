// A call as a command for one's own machine.

import type { CallOptions, CallStarted } from "./events.js";
import { shellWord } from "./shell-word.js";

export type ReproducedCall = CallOptions & Pick<CallStarted, "image" | "command">;

export function dockerCommand(call: ReproducedCall): string {
  if (call.builds === true) return call.command;
  const words = ["docker", "run", "--rm", "--init"];
  for (const [name, value] of Object.entries(call.env ?? {})) words.push("-e", `${name}=${value}`);
  // Docker takes the value from the environment of whoever runs it.
  for (const name of call.secrets ?? []) words.push("-e", name);
  if (call.workdir !== undefined) words.push("-w", call.workdir);
  if (call.user !== undefined) words.push("-u", call.user);
  if (call.cpus !== undefined) words.push("--cpus", String(call.cpus));
  if (call.memoryBytes !== undefined) {
    words.push("--memory", String(call.memoryBytes), "--memory-swap", String(call.memoryBytes));
  }
  if (call.network === false) words.push("--network", "none");
  words.push("--entrypoint", "sh", call.image, "-c", call.command);
  const seconds = Math.ceil((call.timeoutMs ?? 0) / 1000);
  const limit = seconds > 0 ? ["timeout", String(seconds)] : [];
  return [...limit, ...words].map(shellWord).join(" ");
}
