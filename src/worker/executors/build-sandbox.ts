// Sandboxes in which no command runs: the build of an image, and what is left of one that could not be built.

import { randomBytes } from "node:crypto";
import type { Build, Builds } from "./docker-builds.js";
import type { Sandbox, SandboxBuild, SandboxExit } from "./executor.js";

const killed = { exitCode: 137, outOfMemory: false };

export function buildSandbox(
  build: SandboxBuild,
  begin: (...given: Parameters<Builds["make"]>) => ReturnType<Builds["make"]>,
): Sandbox {
  const abort = new AbortController();
  let hasEnded = false;
  return {
    id: newId(),
    async run(sink) {
      const { signal } = abort;
      const output = (text: string) => (text === "" ? undefined : sink(Buffer.from(text)));
      try {
        return exitOf(await begin(build, { signal, output }));
      } catch (error) {
        // Given up: others may wait for the same build, so this is all the end that it has here.
        if (signal.aborted && error === signal.reason) return killed;
        throw error;
      } finally {
        hasEnded = true;
      }
    },
    kill() {
      abort.abort();
      return !hasEnded;
    },
    dispose: async () => abort.abort(),
  };
}

/** Its output is where the build's is already. */
export function unbuiltSandbox(failed: Build): Sandbox {
  return {
    id: newId(),
    run: async () => exitOf(failed),
    kill: () => false,
    dispose: async () => {},
  };
}

function exitOf({ exitCode, result }: Build): SandboxExit {
  return { exitCode, outOfMemory: false, build: result };
}

function newId(): string {
  return `image-build-${randomBytes(4).toString("hex")}`;
}
