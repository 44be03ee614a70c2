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
  let workdir: Promise<string> | null = null;
  const startedIn = async () => {
    const { Config } = await answered(container.inspect());
    return Config.WorkingDir || "/";
  };
  return {
    kind: "archive",
    async open(path) {
      try {
        const isWhole = path.startsWith("/");
        if (!isWhole) workdir ??= startedIn();
        const from = isWhole ? "/" : ((await workdir) ?? "/");
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
