// A fresh container for each command.

import { availableParallelism } from "node:os";
import { currentOwner, isDead, ownerKey } from "../../lib/owner.js";
import { Pool } from "../pool/pool.js";
import { Builds } from "./docker-builds.js";
import { addressOf, checkEngine, connect, knock } from "./docker-connect.js";
import type { StartedContainer } from "./docker-container.js";
import { diskLimitProblem } from "./docker-disk.js";
import { startDockerGuard } from "./docker-guard.js";
import { createImages, type PullPolicy } from "./docker-images.js";
import { ownerLabel } from "./docker-labels.js";
import { removeLeftovers } from "./docker-leftovers.js";
import { EngineLink } from "./docker-link.js";
import { ContainerMaker } from "./docker-maker.js";
import { createOpening } from "./docker-opening.js";
import { type ContainerShape, shapeOf } from "./docker-shape.js";
import { EngineApi } from "./engine/api.js";
import type { Executor, MakePlace } from "./executor.js";
import { Removals } from "./removals.js";
import { Rests } from "./rests.js";

export interface DockerExecutorOptions {
  /** As in DOCKER_HOST, which counts where this is absent. */
  readonly dockerHost?: string | undefined;
  readonly pull: PullPolicy;
  /** Of every command; refused at the start where the engine cannot. */
  readonly limitsDisk?: boolean;
  /** Of every build of an image. */
  readonly buildLimits?: { readonly memoryBytes?: number; readonly cpus?: number };
  /** Of images that are built here, most that is kept; default: 20 GiB. */
  readonly maxImageBytes?: number;
  /** Sandboxes that are kept ready, at most; default: none. */
  readonly poolMax?: number;
  /** How long they are kept when nothing asks for them; 0: only what is expected is made ahead. */
  readonly poolIdleMs?: number;
  /** Absent: no command has a source. */
  readonly place?: MakePlace;
  readonly log: (line: string) => void;
}

/** An engine elsewhere has who knows how many processors. More at a time than it has only take each longer. */
const farMakings = 4;

export async function createDockerExecutor(options: DockerExecutorOptions): Promise<Executor> {
  const { dockerHost, log, poolMax = 0, poolIdleMs = 0 } = options;
  const { docker, agent } = connect(dockerHost);
  await checkEngine(docker, dockerHost);
  if (options.limitsDisk) {
    const problem = diskLimitProblem(await docker.info());
    if (problem !== null) throw new Error(`${problem}. Start without --max-disk`);
  }
  await removeLeftovers(docker, log, (owner) => isDead(owner));
  const api = new EngineApi(docker);
  const removals = new Removals({ remove: (container) => api.remove(container), log });
  const rests = new Rests();
  const images = createImages(docker, options.pull);
  const owner = ownerKey(currentOwner());
  const alwaysPull = options.pull === "always";
  const builds = new Builds({
    ...{ docker, images, alwaysPull, owner, log },
    limits: options.buildLimits ?? {},
    maxBytes: options.maxImageBytes ?? 20 * 2 ** 30,
  });
  const address = addressOf(dockerHost);
  const isHere = address.startsWith("unix://");
  const link = await EngineLink.open({
    docker,
    address,
    label: `${ownerLabel}=${owner}`,
    knock: () => knock(dockerHost),
    // All of our own too: whoever waited for them has been told that they are lost.
    returned: async () => {
      await removeLeftovers(docker, log, (of) => ownerKey(of) === owner || isDead(of));
    },
  });
  const maker = new ContainerMaker({
    ...{ docker, api, owner, removals, rests, place: options.place, log },
    mountsSources: isHere,
  });
  let tellReady = (_: number) => {};
  const pool = new Pool<ContainerShape, StartedContainer>({
    make: (kind) => maker.make(link.life(), kind),
    max: poolMax,
    makings: isHere ? availableParallelism() + 1 : farMakings,
    idleMs: poolIdleMs,
    changed: (ready) => tellReady(ready),
  });
  const guard = startDockerGuard(owner, dockerHost);
  const opening = createOpening({
    ...{ docker, api, owner, link, images, alwaysPull, builds, pool, maker, removals, rests, log },
  });

  return {
    name: "docker",
    isolated: true,
    takesFolders: true,
    open: opening.open,
    onReady(listener) {
      tellReady = listener;
    },
    onProblem(listener) {
      link.onProblem((problem) => {
        if (problem !== null) void pool.empty();
        listener(problem);
      });
    },

    async expect(expected) {
      for (const { count, ...asked } of expected) {
        const kind = await opening.kindOf(shapeOf(asked)).catch(() => null);
        // One that is not here is pulled by the first command, which shows how that goes.
        if (kind) pool.expect(kind, count);
      }
    },

    relax() {
      rests.close();
      return pool.close();
    },

    async close() {
      await builds.close();
      rests.close();
      await pool.close();
      link.close();
      guard.close();
      api.close();
      agent?.destroy();
    },
  };
}
