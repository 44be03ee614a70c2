// The files of a container that has ended, by the engine's archive API. The engine resolves links on the way
// within the container.

import { posix } from "node:path";
import type Docker from "dockerode";
import type { SandboxFiles } from "../sandbox-files.js";
import { answered, engineWords, statusOf } from "./docker-errors.js";
import { ExecutorFault } from "./executor.js";

export function readableArchive(
  container: Docker.Container,
  during: <T>(work: Promise<T>) => Promise<T>,
): Extract<SandboxFiles, { readonly kind: "archive" }> {
  let inspected: Promise<{ workdir: string; since: number }> | null = null;
  const inspect = () => {
    inspected ??= answered(container.inspect()).then(({ Config, Created }) => ({
      workdir: Config.WorkingDir || "/",
      since: Date.parse(Created),
    }));
    return inspected;
  };
  return {
    kind: "archive",
    // By the clock of the engine's machine, as are the times of files.
    since: async () => (await inspect().catch(() => null))?.since,
    async open(path) {
      try {
        const isWhole = path.startsWith("/");
        const from = isWhole ? "/" : (await inspect()).workdir;
        // With "/." a folder that is a link is entered: the one that the command was started in. And what is in it is
        // then named from there on, not by the folder's name.
        const full = path === "" ? `${from.replace(/\/+$/, "")}/.` : posix.join(from, path);
        return (await during(
          answered(container.getArchive({ path: full })),
        )) as NodeJS.ReadableStream & AsyncIterable<Uint8Array>;
      } catch (error) {
        if (statusOf(error) === 404) return null;
        if (error instanceof ExecutorFault) throw error;
        const id = container.id.slice(0, 12);
        throw new ExecutorFault(
          `could not read the files of container ${id}: ${engineWords(error)}`,
          {
            hint: "is the Docker engine well?",
            lost: statusOf(error) === null,
          },
        );
      }
    },
  };
}
