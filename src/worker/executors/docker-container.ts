// One container, from created to removed.
//
//   started, its shell waits ──run──► the command runs ──marks──► ended ──dispose──► removed
//                                          │
//                                          └─ the output ends without marks: killed, out of memory, or lost

import type { Duplex } from "node:stream";
import type Docker from "dockerode";
import { asError } from "../../lib/as-error.js";
import { within } from "../../lib/or-else.js";
import type { Pooled } from "../pool/pool.js";
import type { Owner } from "../sources/owned-layers.js";
import type { SourcePlace } from "../sources/places.js";
import { createDockerDoor } from "./docker-door.js";
import { answered, engineWords, statusOf } from "./docker-errors.js";
import { readableArchive } from "./docker-files.js";
import type { ContainerNews, EngineLife } from "./docker-link.js";
import { hasBeenKilledForMemory } from "./docker-memory.js";
import { type PidsWatch, watchPids } from "./docker-pids.js";
import { type ScriptOptions, scriptFor } from "./docker-script.js";
import { DeafShell, greet, MissingShell, type Shell } from "./docker-shells.js";
import { ExecutorFault, type OutputSink, type Sandbox, type SandboxExit } from "./executor.js";
import { createMarkedOutput } from "./marked-output.js";
import type { Removals } from "./removals.js";

export interface ContainerOptions {
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

/** The output of a dead container ends as soon as it is read; where it does not, the engine is in trouble. */
const outputMustEndWithinMs = 60_000;
/** From the end of a command to the engine's word of it; it comes at about the same time. */
const newsMustComeWithinMs = 30_000;
/** What looking at the counter for costs little beside a flood. */
const fewBytes = 4096;
/** Of a command that SIGKILL has ended; that of the system, when memory is short, is one. */
const killedCode = 137;

/** Its shell waits when this resolves. A rejected start leaves nothing behind. */
export async function startContainer(
  container: Docker.Container,
  options: ContainerOptions,
): Promise<StartedContainer> {
  const { image, place, shell, isKnown, life, removals } = options;
  const news = life.follow(container.id);
  let disposal: Promise<void> | null = null;
  let output: Duplex | null = null;
  const pids = watchPids(container.id);
  const dispose = () => {
    news.forget();
    pids.end();
    // The shell ends with its input, and everything in the container with the shell.
    output?.destroy();
    disposal ??= leave();
    return disposal;
  };
  const leave = async () => {
    // With its engine gone there is nobody to ask; it is removed when the engine is back.
    if (!life.isOver) await removals.remove(container);
    await place?.release();
  };
  try {
    // Before the start: what a container writes while nobody is attached is lost.
    output = await attach(container);
    await start(container, image, shell.path);
    pids.begin();
    if (shell.reads && !isKnown) await greet(output, news.died, image);
  } catch (error) {
    const isEnded = error instanceof DeafShell && (await wasEndedFromOutside(news));
    await dispose();
    if (isEnded) throw new ExecutorFault(`container ${container.id} was ended`, { lost: true });
    throw error;
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
    discard: dispose,
    container,
    place,
    owner: options.owner,
    use: (task) => openSandbox(container, { ...options, task, news, pids, stream, dispose }),
  };
}

function endIsTold(news: ContainerNews): Promise<void> {
  return within(newsMustComeWithinMs, news.died, () => {
    throw new Error("the engine did not tell of its end");
  });
}

/** Then the end of a shell says nothing of it. An engine that goes away tells nothing any more. */
async function wasEndedFromOutside(news: ContainerNews): Promise<boolean> {
  const ended = news.died.then(() => news.signals.length > 0);
  return within(newsMustComeWithinMs, ended, () => true).catch(() => true);
}

interface SandboxOptions extends ContainerOptions {
  readonly task: Omit<ScriptOptions, "shell">;
  readonly news: ContainerNews;
  readonly pids: PidsWatch;
  readonly stream: Duplex;
  readonly dispose: () => Promise<void>;
}

function openSandbox(container: Docker.Container, options: SandboxOptions): Sandbox {
  const { memoryBytes, life, news, pids, stream, dispose, log, shell } = options;
  const id = container.id.slice(0, 12);
  let state: "waiting" | "running" | "ended" = "waiting";
  let wanted: "SIGTERM" | "SIGKILL" | null = null;

  async function runToItsEnd(sink: OutputSink): Promise<SandboxExit> {
    const { text, mark } = scriptFor({ ...options.task, shell: shell.path });
    try {
      state = "running";
      const ending = outputUntilEnd(stream, mark, (chunk) => {
        // Whoever is refused a process complains of it, in few words.
        if (chunk.length < fewBytes) pids.look();
        return sink(chunk);
      });
      if (wanted !== "SIGKILL" && shell.reads) stream.write(text);
      if (wanted) deliver(wanted);
      const marked = await orDeath(ending, news, id);
      // While the container lives, and its counters with it.
      pids.look();
      state = "ended";
      const maybeOutOfMemory =
        marked !== null && marked !== 0 && (memoryBytes !== undefined || marked === killedCode);
      if (marked !== null && !maybeOutOfMemory) {
        return { exitCode: marked, outOfMemory: false, outOfProcesses: pids.hit };
      }
      const killedForMemory = marked !== null && hasBeenKilledForMemory(container.id);
      // The shell says how its child has ended; why, or how itself has, only the engine knows.
      if (marked !== null) stream.end(`exit ${marked}\n`);
      const exit = await waitForEnd(container, id);
      await endIsTold(news).catch((error: unknown) => Promise.reject(fault("lost", id, error)));
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
    attach: () => attach(container),
  });

  function deliver(name: "SIGTERM" | "SIGKILL") {
    pids.look();
    const failed = (error: unknown) => {
      // 409: it has ended meanwhile.
      if (![404, 409].includes(statusOf(error) ?? 0)) {
        log(`could not send ${name} to container ${id}: ${engineWords(error)}`);
      }
    };
    const sent = name === "SIGKILL" ? container.kill({ signal: name }) : askEveryProcess(container);
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
    files: { kind: "archive", open: readFolder },
    settle: endOfAll,
    ...(options.copied && { readFolder }),
    kill(name) {
      if (wanted !== "SIGKILL") wanted = name;
      if (state === "running") deliver(name);
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
      return dispose();
    },
  };
}

async function attach(container: Docker.Container): Promise<Duplex> {
  try {
    const options = { stream: true, stdin: true, stdout: true, stderr: true, hijack: true };
    return (await container.attach(options)) as Duplex;
  } catch (error) {
    throw fault("could not attach to", container.id.slice(0, 12), error);
  }
}

async function start(container: Docker.Container, image: string, shell: string) {
  try {
    await answered(container.start());
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

/**
 * Resolves when the sink has taken everything: to the exit code, or to null where the stream has ended without
 * one being told.
 */
function outputUntilEnd(output: Duplex, mark: Buffer, sink: OutputSink): Promise<number | null> {
  const marked = createMarkedOutput(mark);
  return new Promise((resolve, reject) => {
    let taking: Promise<void> | undefined;
    const take = (payload: Buffer) => (payload.length === 0 ? undefined : sink(payload));
    output.on("data", (chunk: Buffer) => {
      if (marked.exitCode !== null) return;
      try {
        taking = take(marked.push(chunk));
      } catch (error) {
        output.destroy(asError(error));
        return;
      }
      if (taking) output.pause();
      const then = () => {
        if (marked.exitCode !== null) resolve(marked.exitCode);
        output.resume();
      };
      if (taking) taking.then(then, (error: Error) => output.destroy(error));
      else if (marked.exitCode !== null) resolve(marked.exitCode);
    });
    output.on("end", async () => {
      try {
        await taking;
        await take(marked.rest());
        resolve(null);
      } catch (error) {
        reject(asError(error));
      }
    });
    output.resume();
    output.on("error", reject);
    output.on("close", () => reject(new Error("the output stream was closed")));
  });
}

/** Rejects also where the container has died, and its output does not end. */
async function orDeath<T>(ending: Promise<T>, news: ContainerNews, id: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let over = false;
  const late = new Promise<never>((_, reject) => {
    void news.died.then(() => {
      const words = "the end of its output did not come";
      if (!over) timer = setTimeout(reject, outputMustEndWithinMs, new Error(words));
    });
  });
  try {
    return await Promise.race([ending, late]);
  } catch (error) {
    throw fault("lost output of", id, error);
  } finally {
    over = true;
    clearTimeout(timer);
  }
}

/**
 * An engine that is told to stop ends its containers, and so does a person with `docker stop`. None of that is
 * how the command would have ended.
 */
function refuseMadeUpEnd({ signals }: ContainerNews, id: string) {
  if (signals.length === 0) return;
  throw new ExecutorFault(`container ${id} was ended from outside (signal ${signals.join(", ")})`, {
    hint: "Was the Docker engine stopped, or the container by hand?",
    lost: true,
  });
}

/**
 * The attach stream also ends when the engine dies, as if the command had ended, so its end proves
 * nothing: the exit is believed only when the engine says so twice, by wait and by inspect.
 */
async function waitForEnd(container: Docker.Container, id: string) {
  try {
    const answer = JSON.parse(await readWait(container)) as unknown;
    const { State } = await answered(container.inspect());
    if (typeof answer !== "object" || answer === null || !("StatusCode" in answer)) {
      throw new Error("it did not say how the command ended");
    }
    if (State.Running) throw new Error("it says both that the command has ended and that it runs");
    return { exitCode: State.ExitCode, outOfMemory: State.OOMKilled };
  } catch (error) {
    throw fault("lost", id, error);
  }
}

/** Not by container.wait(): that never settles when the connection breaks after the answer has begun. */
async function readWait(container: Docker.Container): Promise<string> {
  const answer = await new Promise<NodeJS.ReadableStream>((resolve, reject) => {
    container.modem.dial(
      {
        path: `/containers/${container.id}/wait`,
        method: "POST",
        isStream: true,
        statusCodes: { 200: true, 404: "no such container", 500: "server error" },
      },
      (error: Error | null, stream: NodeJS.ReadableStream) =>
        error ? reject(error) : resolve(stream),
    );
  });
  let text = "";
  for await (const chunk of answer) text += chunk.toString();
  return text;
}

/** From inside, and all but the shell that waits for them: a kill from outside would reach that one alone. */
async function askEveryProcess(container: Docker.Container) {
  const exec = await container.exec({ Cmd: ["sh", "-c", "kill -TERM -1"] });
  await exec.start({ Detach: true });
}

function fault(what: string, id: string, error: unknown): ExecutorFault {
  return new ExecutorFault(`${what} container ${id}: ${engineWords(error)}`, {
    hint: "is the Docker engine well?",
    // 404: somebody has removed it.
    lost: [null, 404].includes(statusOf(error)),
  });
}
