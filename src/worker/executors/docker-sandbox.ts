// A command in a container whose shell waits for it.

import type { Duplex } from "node:stream";
import type Docker from "dockerode";
import type { ContainerOptions } from "./docker-container.js";
import { createDockerDoor } from "./docker-door.js";
import { containerFault, endIsTold, orDeath, refuseMadeUpEnd, waitForEnd } from "./docker-end.js";
import { engineWords, statusOf } from "./docker-errors.js";
import { readableArchive } from "./docker-files.js";
import type { ContainerNews } from "./docker-link.js";
import { hasBeenKilledForMemory } from "./docker-memory.js";
import { outputUntilEnd } from "./docker-output.js";
import type { PidsWatch } from "./docker-pids.js";
import { type ScriptOptions, scriptFor } from "./docker-script.js";
import { ExecutorFault, type OutputSink, type Sandbox, type SandboxExit } from "./executor.js";

/** What looking at the counter for costs little beside a flood. */
const fewBytes = 4096;
/** Of a command that SIGKILL has ended; that of the system, when memory is short, is one. */
const killedCode = 137;

export interface SandboxOptions extends ContainerOptions {
  readonly task: Omit<ScriptOptions, "shell">;
  readonly news: ContainerNews;
  readonly pids: PidsWatch;
  readonly stream: Duplex;
  readonly attach: () => Promise<Duplex>;
  /** `mayRest`: what it was made for has ended by itself. */
  readonly dispose: (mayRest: boolean) => Promise<void>;
}

/** The one command of a started container. */
export function openSandbox(container: Docker.Container, options: SandboxOptions): Sandbox {
  const { api, memoryBytes, life, news, pids, stream, dispose, log, shell } = options;
  const id = container.id.slice(0, 12);
  let state: "waiting" | "running" | "ended" = "waiting";
  let wanted: "SIGTERM" | "SIGKILL" | null = null;
  const hasEnded = () => {
    state = "ended";
  };
  let hasExited = false;

  async function runToItsEnd(sink: OutputSink): Promise<SandboxExit> {
    const { text, mark } = scriptFor({ ...options.task, shell: shell.path });
    try {
      state = "running";
      const ending = outputUntilEnd(stream, mark, {
        sink(chunk) {
          // Whoever is refused a process complains of it, in few words.
          if (chunk.length < fewBytes) pids.look();
          return sink(chunk);
        },
        ended: hasEnded,
      });
      if (wanted !== "SIGKILL" && shell.reads) stream.write(text);
      if (wanted) deliver(wanted);
      const marked = await orDeath(ending, news, id);
      // While the container lives, and its counters with it.
      pids.look();
      const maybeOutOfMemory =
        marked !== null && marked !== 0 && (memoryBytes !== undefined || marked === killedCode);
      if (marked !== null && !maybeOutOfMemory) {
        hasExited = true;
        return { exitCode: marked, outOfMemory: false, outOfProcesses: pids.hit };
      }
      const killedForMemory = marked !== null && hasBeenKilledForMemory(container.id);
      // The shell says how its child has ended; why, or how itself has, only the engine knows.
      if (marked !== null) stream.end(`exit ${marked}\n`);
      const exit = await waitForEnd(api, container.id, { isDue: marked !== null, ended: hasEnded });
      await endIsTold(news).catch((error: unknown) =>
        Promise.reject(containerFault("lost", id, error)),
      );
      if (wanted === null) refuseMadeUpEnd(news, id);
      if (shell.reads && marked === null && wanted === null && !exit.outOfMemory) {
        throw new ExecutorFault(`the shell of container ${id} ended before the command did`, {
          hint: `does \`sh\` of image "${options.image}" read commands from its standard input?`,
        });
      }
      const outOfMemory = exit.outOfMemory || killedForMemory;
      return { ...exit, outOfMemory, outOfProcesses: pids.hit };
    } finally {
      pids.end();
    }
  }

  const archive = readableArchive(container, (work) => life.during(work));
  /** What the command has left running must not go on writing what is about to be read. */
  function endOfAll(): Promise<void> {
    ended ??= (async () => {
      stream.end("exit\n");
      await life.during(endIsTold(news));
    })();
    return ended;
  }
  let ended: Promise<void> | null = null;
  async function readFolder(path: string) {
    await endOfAll();
    return archive.open(path);
  }

  const door = createDockerDoor(container, {
    life,
    env: options.task.env,
    attach: options.attach,
  });

  function deliver(name: "SIGTERM" | "SIGKILL") {
    pids.look();
    const failed = (error: unknown) => {
      // 409: it has ended meanwhile.
      if (![404, 409].includes(statusOf(error) ?? 0)) {
        log(`could not send ${name} to container ${id}: ${engineWords(error)}`);
      }
    };
    const sent = name === "SIGKILL" ? api.kill(container.id, name) : askEveryProcess(container);
    sent.catch(failed);
  }

  return {
    id,
    async run(sink) {
      try {
        return await life.during(runToItsEnd(sink));
      } catch (error) {
        // Nobody takes any more of it.
        stream.destroy();
        throw error;
      }
    },
    files: { ...archive, open: readFolder },
    settle: endOfAll,
    ...(options.copied && { readFolder }),
    kill(name) {
      if (state === "ended") return false;
      if (wanted !== "SIGKILL") wanted = name;
      if (state === "running") deliver(name);
      return true;
    },
    door: {
      async rest() {
        stream.destroy();
        await door.rest();
      },
      enter: door.enter,
    },
    dispose() {
      door.close();
      return dispose(hasExited && wanted === null);
    },
  };
}

/** From inside, and all but the shell that waits for them: a kill from outside would reach that one alone. */
async function askEveryProcess(container: Docker.Container) {
  const exec = await container.exec({ Cmd: ["sh", "-c", "kill -TERM -1"] });
  await exec.start({ Detach: true });
}
