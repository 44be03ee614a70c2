// A call as a command for one's own machine, and in words what that lacks there.

import type { CallOptions, CallStarted, RunSource } from "./events.js";
import { builtImages } from "./image-build.js";
import type { ServiceState } from "./service.js";
import { shellWord } from "./shell-word.js";

export type ReproducedCall = CallOptions & Pick<CallStarted, "image" | "command">;

/** What the call had besides. */
export interface CallSurroundings {
  /** Of its run. */
  readonly sources: readonly RunSource[];
  readonly services: readonly ServiceState[];
}

export function dockerCommand(call: ReproducedCall): string {
  if (call.builds === true) return call.command;
  const words = ["docker", "run", "--rm", "--init"];
  for (const [name, value] of Object.entries(call.env ?? {})) words.push("-e", `${name}=${value}`);
  // Docker takes the value from the environment of whoever runs it.
  for (const name of call.secrets ?? []) words.push("-e", name);
  // As the worker does it: its source is where a command runs that names no other place.
  const workdir = call.workdir ?? call.sourcePath;
  if (workdir !== undefined) words.push("-w", workdir);
  if (call.user !== undefined) words.push("-u", call.user);
  if (call.cpus !== undefined) words.push("--cpus", String(call.cpus));
  if (call.memoryBytes !== undefined) {
    words.push("--memory", String(call.memoryBytes), "--memory-swap", String(call.memoryBytes));
  }
  if (call.network === false) words.push("--network", "none");
  const seconds = Math.ceil((call.timeoutMs ?? 0) / 1000);
  const limit = seconds > 0 ? ["timeout", String(seconds)] : [];
  return [
    ...[...limit, ...words].map(shellWord),
    // A word that the shell of whoever runs it completes.
    ...(call.sourcePath === undefined ? [] : ["-v", `"$PWD"${shellWord(`:${call.sourcePath}`)}`]),
    ...["--entrypoint", "sh", call.image, "-c", call.command].map(shellWord),
  ].join(" ");
}

/** What must be at hand for that command, and what it does without. */
export function dockerNotes(
  call: ReproducedCall,
  { sources, services }: CallSurroundings,
): string[] {
  const { image, secrets = [] } = call;
  const hasSource = call.sourcePath !== undefined || call.builds === true;
  const where = sources.map(wordsOf).join(", or of ") || "its source";
  return [
    ...(hasSource ? [`to be run in a checkout of ${where}`] : []),
    ...(secrets.length > 0 ? [`set these yourself before: ${secrets.join(", ")}`] : []),
    ...(image.startsWith(`${builtImages}:`)
      ? [`${image} is an image that a worker has built: build it here, and name yours instead`]
      : []),
    ...services.map(({ name, image }) => `without its service ${name} (${image})`),
  ];
}

/** All calls of an attempt; `whole`: the words of a command that lacks nothing. */
export function dockerScript(
  calls: readonly (ReproducedCall & { readonly around: CallSurroundings })[],
  whole: readonly string[],
): string {
  const lines = calls.flatMap((call) => [
    // Quoted, as not every shell that people paste into takes # for a comment.
    ...dockerNotes(call, call.around).map((note) => `# ${shellWord(note.replace(/\s+/g, " "))}`),
    dockerCommand(call),
  ]);
  if (lines.length > calls.length) lines.unshift(`# ${whole.map(shellWord).join(" ")}`);
  return lines.join("\n");
}

function wordsOf(source: RunSource): string {
  if (source.kind === "git") return `${source.url} at ${source.commit}`;
  const { commit, dirty, tree } = source;
  const changed = dirty ? " with changes" : "";
  return commit === null ? `tree ${tree}` : `commit ${commit}${changed} (tree ${tree})`;
}
