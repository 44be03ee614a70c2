import type { LoadResult, PipedefHost } from "../../../runtime/host/host.js";
import type { Secrets } from "./secrets.js";

/** A host whose words about its pipedef hold no secret. What its tasks print and throw is masked where it is kept. */
export function maskedHost(host: PipedefHost, secrets: Secrets): PipedefHost {
  return {
    async load() {
      return masked(await host.load(), secrets);
    },
    runTask: (task, io, signal) => host.runTask(task, io, signal),
    broken: host.broken,
    close: () => host.close(),
  };
}

function masked(loaded: LoadResult, secrets: Secrets): LoadResult {
  if (!loaded.ok) return { ...loaded, problem: secrets.maskTexts(loaded.problem) };
  const names = loaded.pipeline.stages.flatMap((stage) => [
    stage.name,
    ...stage.tasks.map(({ name }) => name),
  ]);
  // Names are how everybody finds a task: they cannot be masked.
  const telling = names
    .map((name) => secrets.maskText(name))
    .find((name, at) => name !== names[at]);
  if (telling === undefined) return { ...loaded, pipeline: secrets.maskTexts(loaded.pipeline) };
  const problem = { kind: "threw", message: `a name holds a secret: ${telling}` } as const;
  return { ok: false, problem, files: loaded.files };
}
