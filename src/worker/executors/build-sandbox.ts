// Sandboxes in which no command runs: the build of an image, and what is left of one that could not be built.

import { randomBytes } from "node:crypto";
import type { Build, Builds } from "./docker-builds.js";
import type { Sandbox, SandboxBuild, SandboxExit } from "./executor.js";

export function buildSandbox(
  build: SandboxBuild,
  begin: (...given: Parameters<Builds["make"]>) => ReturnType<Builds["make"]>,
): Sandbox {
  const abort = new AbortController();
  return {
    id: newId(),
    run: async (sink) =>
      exitOf(
        await begin(build, {
          signal: abort.signal,
          output: (text) => (text === "" ? undefined : sink(Buffer.from(text))),
        }),
      ),
    kill: () => abort.abort(),
    dispose: async () => abort.abort(),
  };
}

/** Its output is where the build's is already. */
export function unbuiltSandbox(failed: Build): Sandbox {
  return {
    id: newId(),
    run: async () => exitOf(failed),
    kill: () => {},
    dispose: async () => {},
  };
}

function exitOf({ exitCode, result }: Build): SandboxExit {
  return { exitCode, outOfMemory: false, build: result };
}

function newId(): string {
  return `image-build-${randomBytes(4).toString("hex")}`;
}
