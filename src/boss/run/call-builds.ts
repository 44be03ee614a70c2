// What calls have to do with images and files that are built: what a worker is told of such a build, and what is told of its end.

import type { BuildOrigin } from "../../model/image-build.js";
import type { ImageBuild } from "../../wire/image-build.js";
import type { AskedCommand, CommandRequest, Outcome } from "../../wire/worker.js";
import type { WorkerClient } from "../../wire/worker-client.js";
import type { Secrets } from "../secrets/secrets.js";
import { cachesOf } from "./call-caches.js";
import type { RunSources } from "./sources.js";

export interface RunBuilds {
  /** Of this run. */
  readonly origin: Omit<BuildOrigin, "task">;
  /** Bosses share workers, and each counts its runs from 1. */
  readonly isOwn: (origin: BuildOrigin) => boolean;
}

/** Brings the sources of a call to its worker; gives what the worker is to know of them. Null: it has none. */
export function bringSources(
  { source: asked, build, filesBuild, cache, services }: AskedCommand,
  sources: RunSources,
  /** Of what is built on the way. */
  origin: () => BuildOrigin,
): ((worker: WorkerClient, signal: AbortSignal) => Promise<Partial<CommandRequest>>) | null {
  if (!asked && !build && !filesBuild && !cache && !services) return null;
  const builds = Object.entries(services ?? {}).flatMap(([name, service]) =>
    service.build ? [[name, service.build] as const] : [],
  );
  if (!asked && !build && !filesBuild && !cache && builds.length === 0) return null;
  return async (worker, signal) => {
    const brought = (all: typeof builds) =>
      Promise.all(
        all.map(
          async ([name, one]): Promise<[string, ImageBuild]> => [
            name,
            { ...one, source: await sources(one.source, worker, signal), by: origin() },
          ],
        ),
      );
    const source = asked && (await sources(asked, worker, signal));
    return {
      ...(source && { source }),
      ...(build && {
        build: { ...build, source: await sources(build.source, worker, signal), by: origin() },
      }),
      ...(filesBuild && {
        filesBuild: { ...filesBuild, scope: await sources.cacheScope(), by: origin() },
      }),
      ...(builds.length > 0 && { serviceBuilds: Object.fromEntries(await brought(builds)) }),
      ...(cache && { cache: await cachesOf(cache, { source, sources, worker, signal }) }),
    };
  };
}

/** Why the call is not made; null: it can be. Arguments stay readable in the image, for whoever has it. */
export function secretInArguments(
  { build, services }: AskedCommand,
  secrets: Secrets,
): Outcome | null {
  if (!build && !services) return null;
  const builds = [build, ...Object.values(services ?? {}).map((service) => service.build)];
  const told = builds
    .flatMap((one) => Object.entries(one?.args ?? {}))
    .find(([, value]) => secrets.maskText(value) !== value);
  if (!told) return null;
  return {
    kind: "faulted",
    message: `the build argument ${told[0]} holds a secret, which anybody who has the image could read in its history`,
    hint: "Give secrets to the command that needs them: run(await image(...), command, { secrets: [NAME] })",
  };
}

/** A run of another boss is of no use to those who look at this one. */
export function withKnownOrigin(outcome: Outcome, { isOwn }: RunBuilds): Outcome {
  if (outcome.kind !== "exited" || !outcome.build || outcome.build.kind === "failed")
    return outcome;
  const { build } = outcome;
  return build.by && !isOwn(build.by) ? { ...outcome, build: { ...build, by: null } } : outcome;
}
