// How people get into a container whose command has ended. It rests stopped, so that it takes nothing but disk;
// the first who enters starts it again, with the same shell that waits as its first process.

import type { Duplex } from "node:stream";
import type Docker from "dockerode";
import { answered, engineWords, statusOf } from "./docker-errors.js";
import type { EngineLife } from "./docker-link.js";
import { openDockerTerminal } from "./docker-terminal.js";
import { ExecutorFault, type SandboxDoor } from "./executor.js";

export interface DockerDoor extends SandboxDoor {
  /** Lets go of it; it is about to be removed. */
  close(): void;
}

export function createDockerDoor(
  container: Docker.Container,
  {
    life,
    env,
    attach,
  }: {
    readonly life: EngineLife;
    /** Of the command, as far as the container was not made with it. */
    readonly env: Readonly<Record<string, string>>;
    readonly attach: () => Promise<Duplex>;
  },
): DockerDoor {
  let holder: Duplex | null = null;
  let last: Promise<unknown> = Promise.resolve();

  /** One after the other, whoever asks for it. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(() => life.during(work()));
    last = turn.catch(() => {});
    return turn;
  }

  async function rest() {
    holder?.destroy();
    holder = null;
    try {
      await answered(container.kill({ signal: "SIGKILL" }));
    } catch (error) {
      // 409: it does not run.
      if (statusOf(error) !== 409) throw fault("could not be brought to rest", error);
    }
    await answered(container.wait()).catch(() => {});
  }

  async function wake() {
    if (holder && !holder.destroyed && !holder.readableEnded) return;
    holder?.destroy();
    try {
      const stream = await attach();
      holder = stream;
      stream.on("error", () => {});
      // Nobody reads what it says; but its end is to be seen.
      stream.resume();
      await answered(container.start());
    } catch (error) {
      holder?.destroy();
      holder = null;
      throw fault("could not be started again", error);
    }
  }

  return {
    rest: () => inTurn(rest),
    enter: (options) =>
      inTurn(async () => {
        await wake();
        return openDockerTerminal(container, { ...options, env: { ...env, ...options.env } });
      }),
    close() {
      holder?.destroy();
      holder = null;
    },
  };
}

function fault(what: string, error: unknown): ExecutorFault {
  return new ExecutorFault(`the kept sandbox ${what}: ${engineWords(error)}`, {
    lost: statusOf(error) === null,
  });
}
