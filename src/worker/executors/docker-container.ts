// One container, from created to removed.
//
//   started, its shell waits ──run──► the command runs ──marks──► ended ──dispose──► removed
//                                          │
//                                          └─ the output ends without marks: killed, out of memory, or lost

import type { Duplex } from "node:stream";
import type Docker from "dockerode";
import type { Pooled } from "../pool/pool.js";
import type { Owner } from "../sources/owned-layers.js";
import type { SourcePlace } from "../sources/places.js";
import { containerFault, isAnswered, wasEndedFromOutside } from "./docker-end.js";
import { engineWords, statusOf } from "./docker-errors.js";
import type { EngineLife } from "./docker-link.js";
import { watchPids } from "./docker-pids.js";
import { openSandbox } from "./docker-sandbox.js";
import type { ScriptOptions } from "./docker-script.js";
import { DeafShell, greet, MissingShell, type Shell } from "./docker-shells.js";
import type { EngineApi } from "./engine/api.js";
import { ExecutorFault, type Sandbox } from "./executor.js";
import type { Removals } from "./removals.js";
import type { Rests } from "./rests.js";

export interface ContainerOptions {
  readonly api: EngineApi;
  /** As the user knows it. */
  readonly image: string;
  readonly memoryBytes: number | undefined;
  /** Goes with it. */
  readonly place: SourcePlace | null;
  /** As whom its command runs, where it has a place; null: root. */
  readonly owner: Owner | null;
  /** The folders it sees are copies, in it. */
  readonly copied: boolean;
  readonly shell: Shell;
  /** Another container of the image has shown that it is as described. */
  readonly isKnown: boolean;
  readonly life: EngineLife;
  readonly removals: Removals;
  readonly rests: Rests;
  readonly log: (line: string) => void;
}

export interface StartedContainer extends Pooled {
  readonly life: EngineLife;
  readonly container: Docker.Container;
  /** Where its source is to be laid out; null: it sees none. */
  readonly place: SourcePlace | null;
  readonly owner: Owner | null;
  /** Once. */
  use(task: Omit<ScriptOptions, "shell">): Sandbox;
}

/** Its shell waits when this resolves. A rejected start leaves nothing behind. */
export async function startContainer(
  container: Docker.Container,
  options: ContainerOptions,
): Promise<StartedContainer> {
  const { api, image, place, shell, isKnown, life, removals } = options;
  const news = life.follow(container.id);
  let disposal: Promise<void> | null = null;
  let output: Duplex | null = null;
  const pids = watchPids(container.id);
  const dispose = (mayRest = false) => {
    news.forget();
    pids.end();
    disposal ??= leave(mayRest && pids.isAlone());
    return disposal;
  };
  const leave = async (rests: boolean) => {
    if (rests) await options.rests.over();
    // The shell ends with its input, and everything in the container with the shell.
    output?.destroy();
    // With its engine gone there is most often nobody to ask; it is removed when the engine is back. But where the next
    // one has made it meanwhile, of a request that waited in the socket, that was too late for it.
    if (life.isOver) void api.remove(container.id).catch(() => {});
    else await removals.remove(container.id);
    await place?.release();
  };
  /** A shell is known by what it does only where nobody has ended it, and an engine that lives has passed on its words. */
  const notTheShells = async ({ hasEnded }: DeafShell) => {
    const { id } = container;
    if (hasEnded && (await wasEndedFromOutside(news)))
      return new ExecutorFault(`container ${id} was ended`, { lost: true });
    if (!hasEnded && !(await isAnswered(api.stateOf(id))))
      return new ExecutorFault(`the engine does not answer for container ${id}`, { lost: true });
    return null;
  };
  try {
    // Before the start: what a container writes while nobody is attached is lost.
    output = await attach(api, container.id);
    await start(api, container.id, { image, shell: shell.path });
    pids.begin();
    if (shell.reads && !isKnown) await greet(output, news.died, image);
  } catch (error) {
    const fault = error instanceof DeafShell ? await notTheShells(error) : null;
    await dispose();
    throw fault ?? error;
  }
  const stream = output;
  let lost = () => {};
  const cut = new Promise<void>((resolve) => {
    lost = resolve;
  });
  stream.on("error", lost);
  return {
    life,
    died: Promise.race([news.died, cut]),
    discard: () => dispose(),
    container,
    place,
    owner: options.owner,
    use: (task) =>
      openSandbox(container, {
        ...{ ...options, task, news, pids, stream, dispose },
        attach: () => attach(api, container.id),
      }),
  };
}

async function attach(api: EngineApi, container: string): Promise<Duplex> {
  try {
    return await api.attach(container);
  } catch (error) {
    throw containerFault("could not attach to", container, error);
  }
}

async function start(
  api: EngineApi,
  container: string,
  { image, shell }: { readonly image: string; readonly shell: string },
) {
  try {
    await api.start(container);
  } catch (error) {
    const words = engineWords(error);
    const message = `Docker could not start the command in image "${image}": ${words}`;
    if (words.includes(`"${shell}"`) && /not found|no such file/.test(words)) {
      const hint = "commands run as `sh -c COMMAND`, so the image needs a shell";
      throw new MissingShell(message, { hint });
    }
    const isRemoved = /marked for removal|no such container/i.test(words);
    throw new ExecutorFault(message, { lost: isRemoved || statusOf(error) === null });
  }
}
