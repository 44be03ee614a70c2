// One container, from created to removed.

import type { Duplex } from "node:stream";
import type Docker from "dockerode";
import { asError } from "../../lib/as-error.js";
import { createDemux } from "./demux.js";
import { answered, engineWords, statusOf } from "./docker-errors.js";
import { readableArchive } from "./docker-files.js";
import type { ContainerNews, EngineLife } from "./docker-link.js";
import { watchPids } from "./docker-pids.js";
import { ExecutorFault, type OutputSink, type Sandbox, type SandboxSpec } from "./executor.js";

export interface OpenContainerOptions {
  readonly spec: SandboxSpec;
  readonly life: EngineLife;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

/** The output of a dead container ends as soon as it is read; where it does not, the engine is in trouble. */
const outputMustEndWithinMs = 60_000;
/** From the end of a command to the engine's word of it; it comes at about the same time. */
const newsMustComeWithinMs = 30_000;
/** What looking at the counter for costs little beside a flood. */
const fewBytes = 4096;
const removalRetriesMs = [200, 1_000, 5_000, 15_000, 60_000];

export async function openContainer(
  container: Docker.Container,
  { spec, life, signal, log }: OpenContainerOptions,
): Promise<Sandbox> {
  const id = container.id.slice(0, 12);
  let state: "created" | "started" | "ended" = "created";
  let wanted: "SIGTERM" | "SIGKILL" | null = null;
  let disposal: Promise<void> | null = null;

  // With its engine gone there is nobody to ask; it is removed when the engine is back.
  const dispose = () => (disposal ??= life.isOver ? Promise.resolve() : remove(container, log));
  let look = () => {};
  let output: Duplex;
  try {
    // Before the start: what a container writes while nobody is attached is lost.
    output = await attach(container);
    signal.throwIfAborted();
  } catch (error) {
    await dispose();
    throw error instanceof ExecutorFault ? error : fault("could not attach to", id, error);
  }

  async function run(sink: OutputSink) {
    try {
      return await life.during(runToItsEnd(sink));
    } catch (error) {
      // Nobody takes any more of it.
      output.destroy();
      throw error;
    }
  }

  async function runToItsEnd(sink: OutputSink) {
    const pids = watchPids(container.id);
    const drained = drain(output, (chunk) => {
      // Whoever is refused a process complains of it, in few words.
      if (chunk.length < fewBytes) pids.look();
      return sink(chunk);
    });
    // Looked at only after the start; until then it must not count as unhandled.
    drained.catch(() => {});
    const news = life.follow(container.id);
    look = pids.look;
    // A container's group of processes goes soon after its output has ended, and its counter with it.
    output.prependListener("end", pids.look);
    try {
      await start(container, spec);
      state = "started";
      pids.begin();
      if (wanted) deliver(wanted);
      const exit = await Promise.race([waitForEnd(container, id), failureOf(drained, id)]);
      state = "ended";
      await within(newsMustComeWithinMs, news.died, "the engine did not tell of its end").catch(
        (error: unknown) => Promise.reject(fault("lost", id, error)),
      );
      if (wanted === null) refuseMadeUpEnd(news, id);
      await drainedSoon(drained, id);
      return { ...exit, outOfProcesses: pids.hit };
    } finally {
      pids.end();
      news.forget();
    }
  }

  function deliver(name: "SIGTERM" | "SIGKILL") {
    look();
    const failed = (error: unknown) => {
      // 409: it has ended meanwhile.
      if (![404, 409].includes(statusOf(error) ?? 0)) {
        log(`could not send ${name} to container ${id}: ${engineWords(error)}`);
      }
    };
    container.kill({ signal: name }).catch(failed);
    if (name === "SIGTERM") askEveryProcess(container).catch(failed);
  }

  return {
    id,
    run,
    files: readableArchive(container, (work) => life.during(work)),
    kill(name) {
      if (wanted !== "SIGKILL") wanted = name;
      if (state === "started") deliver(name);
    },
    async dispose() {
      output.destroy();
      await dispose();
    },
  };
}

async function attach(container: Docker.Container): Promise<Duplex> {
  const stream = await container.attach({ stream: true, stdout: true, stderr: true, hijack: true });
  return stream as Duplex;
}

async function start(container: Docker.Container, spec: SandboxSpec) {
  try {
    await answered(container.start());
  } catch (error) {
    const words = engineWords(error);
    const hint = /"sh":.*not found/.test(words)
      ? "commands run as `sh -c COMMAND`, so the image needs a shell"
      : undefined;
    throw new ExecutorFault(
      `Docker could not start the command in image "${spec.image}": ${words}`,
      { hint, lost: statusOf(error) === null },
    );
  }
}

/** Resolves when the stream has ended and the sink has taken everything. */
function drain(output: Duplex, sink: OutputSink): Promise<void> {
  const payloadOf = createDemux();
  return new Promise((resolve, reject) => {
    let taking: Promise<void> | undefined;
    output.on("data", (chunk: Buffer) => {
      try {
        const payload = payloadOf(chunk);
        taking = payload.length === 0 ? undefined : sink(payload);
      } catch (error) {
        output.destroy(asError(error));
        return;
      }
      if (!taking) return;
      output.pause();
      taking.then(
        () => output.resume(),
        (error: Error) => output.destroy(error),
      );
    });
    output.on("end", () => resolve(taking));
    output.on("error", reject);
    output.on("close", () => reject(new Error("the output stream was closed")));
  });
}

function failureOf(drained: Promise<void>, id: string): Promise<never> {
  return new Promise((_, reject) => {
    drained.catch((error: unknown) => reject(fault("lost output of", id, error)));
  });
}

async function drainedSoon(drained: Promise<void>, id: string) {
  try {
    await within(outputMustEndWithinMs, drained, "the end of its output did not come");
  } catch (error) {
    throw fault("lost output of", id, error);
  }
}

async function within<T>(ms: number, work: Promise<T>, otherwise: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(reject, ms, new Error(otherwise));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * An engine that is told to stop sends its containers SIGTERM, then SIGKILL, and reports what they make of
 * it as how they ended: 137, 143, or 0 where the command takes SIGTERM for a friendly request. So does a
 * person with `docker stop`. None of that is how the command would have ended.
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

/**
 * A kill reaches only the first process of a container, and that one ignores SIGTERM unless it has a
 * handler. Its children, which do the work, are asked from inside.
 */
async function askEveryProcess(container: Docker.Container) {
  const exec = await container.exec({ Cmd: ["sh", "-c", "kill -TERM -1"] });
  await exec.start({ Detach: true });
}

export async function remove(container: Docker.Container, log: (line: string) => void) {
  if (await removed(container, log)) return;
  // The engine is in trouble: the next command must not wait for that, so the rest is in the background.
  void (async () => {
    for (const ms of removalRetriesMs) {
      await new Promise((resolve) => setTimeout(resolve, ms).unref());
      if (await removed(container, log)) return;
    }
  })();
}

async function removed(container: Docker.Container, log: (line: string) => void): Promise<boolean> {
  try {
    await answered(container.remove({ force: true, v: true }));
    return true;
  } catch (error) {
    // 409: its removal is under way.
    if ([404, 409].includes(statusOf(error) ?? 0)) return true;
    log(`could not remove container ${container.id.slice(0, 12)}: ${engineWords(error)}`);
    return false;
  }
}

function fault(what: string, id: string, error: unknown): ExecutorFault {
  return new ExecutorFault(`${what} container ${id}: ${engineWords(error)}`, {
    hint: "is the Docker engine well?",
    lost: statusOf(error) === null,
  });
}
