// The inside of a home: takes what the boss sends, loads the pipedef, runs its tasks. The same code in a
// thread and in a child process; only the link differs.

import { isMainThread } from "node:worker_threads";
import { beginRegistration, type TaskContext, taskContext } from "../../../task-context.js";
import type { LoadFailure, ToHome } from "../messages.js";
import { endChildren, trackChildren } from "./children.js";
import { collectClasses } from "./declared-classes.js";
import { describeThrown, setStackRoot, tidyStack } from "./describe-thrown.js";
import { type Discovery, discover } from "./discover.js";
import { installGuards } from "./guards.js";
import { useKept } from "./hooks-sync.js";
import type { Link } from "./link.js";
import { type Loader, prepareLoader } from "./loader.js";
import { captureOutput, printInChunks } from "./output.js";
import { framesOf } from "./places.js";
import { createTask, type RunningTask } from "./tasks.js";

interface HomeOptions {
  /** Called once it has started, and once for each `prepare`: nothing of ours is being loaded then. */
  readonly settled?: () => void;
}

export function startHome(link: Link, { settled = () => {} }: HomeOptions = {}): void {
  const tasks = new Map<number, RunningTask>();
  let discovery: Discovery | null = null;
  let phase: "waiting" | "loading" | "loaded" = "waiting";
  const contexts = new Map<TaskContext, RunningTask>();
  const currentTask = () => {
    const context = taskContext.getStore();
    return context && contexts.get(context);
  };

  const print = (bytes: Uint8Array) =>
    printInChunks(bytes, (chunk) => {
      const task = currentTask();
      if (task) task.print(chunk);
      else link.send({ type: "output", task: null }, chunk);
    });
  captureOutput(print);
  trackChildren({ changed: (pid, alive) => link.send({ type: "child", pid, alive }), print });
  installGuards({ inThread: !isMainThread, giveUp: (error) => giveUp("", error), print });
  const loader = prepareLoader(link);
  watchForAccidents();

  link.receive((head, body) => {
    switch (head.type) {
      case "prepare":
        loader.prepare().then(settled, settled);
        break;
      case "load":
        load(head);
        break;
      case "run":
        run(head);
        break;
      case "cancel":
        tasks.get(head.id)?.cancel();
        break;
      case "answer": {
        const { outcome, durationMs, outputBytes } = head;
        tasks.get(head.id)?.answer(head.call, { outcome, durationMs, output: body, outputBytes });
        break;
      }
      case "transformed":
        loader.transformed(head.id, head.ok ? body : null);
        break;
      case "ping":
        link.send({ type: "pong", bufferBytes: process.memoryUsage().arrayBuffers });
        break;
      case "end-children":
        Promise.all([endChildren(), loader.endChildren()]).then(() =>
          link.send({ type: "ended-children" }),
        );
        break;
      default:
        head satisfies never;
    }
  });
  link.send({ type: "ready" });
  settled();

  async function load({
    pipedef,
    root,
    env,
    cacheFolder,
    sources = {},
  }: ToHome & { type: "load" }): Promise<void> {
    for (const name of Object.keys(process.env)) delete process.env[name];
    Object.assign(process.env, env);
    setStackRoot(root);
    useKept(cacheFolder);
    const registered = beginRegistration(root);
    const collected = collectClasses();
    phase = "loading";
    let namespace: object;
    try {
      await loader.pin(
        new Map(
          Object.entries(sources).map(([path, base64]) => [path, Buffer.from(base64, "base64")]),
        ),
      );
      namespace = await loader.load(pipedef);
    } catch (error) {
      link.send({ type: "load-failed", failure: loadFailure(error, loader) });
      return;
    }
    registered.sealed = true;
    const result = discover(namespace, registered.stages, {
      order: loader.executionOrder(pipedef),
      entry: pipedef,
      files: collected(),
    });
    phase = "loaded";
    if (!result.ok) {
      link.send({ type: "load-failed", failure: result.failure });
      return;
    }
    discovery = result;
    link.send({ type: "loaded", stages: [...result.stages], warnings: [...result.warnings] });
  }

  function run({ id, stage, task: name }: ToHome & { type: "run" }): void {
    const code = discovery?.find(stage, name);
    if (!code) {
      const fault = { message: `the pipedef has no task ${name} in stage ${stage}` };
      link.send({ type: "ended", id, end: { status: "errored", fault } });
      return;
    }
    const task = createTask({ id, label: `${stage}.${name}`, ...code }, link);
    tasks.set(id, task);
    contexts.set(task, task);
    task.start().then((result) => {
      tasks.delete(id);
      contexts.delete(task);
      link.send({ type: "ended", id, end: result });
    });
  }

  function watchForAccidents(): void {
    process.on("unhandledRejection", (reason, promise) => {
      if (currentTask()?.blame(promise, reason)) return;
      giveUp("unhandled rejection: ", reason);
    });
    process.on("rejectionHandled", (promise) => {
      for (const task of tasks.values()) task.forgive(promise);
    });
    process.on("uncaughtException", (error) => giveUp("uncaught exception: ", error));
  }

  /** Nobody can say what the code would still have done: no verdict of this home counts any more. */
  function giveUp(kind: string, error: unknown): void {
    const { message, details } = describeThrown(error);
    if (phase === "loading") {
      const failure = loadFailure(error, loader);
      link.send({
        type: "load-failed",
        failure: { ...failure, message: `${kind}${failure.message}` },
      });
      return;
    }
    const task = currentTask();
    print(new TextEncoder().encode(`${details}\n`));
    const where = task ? ` in task ${task.label}` : "";
    link.send({ type: "broken", fault: { message: `${kind}${message}${where}` } });
  }
}

function loadFailure(error: unknown, loader: Loader): LoadFailure {
  const { message, details } = describeThrown(error);
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
  if (code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND") {
    const missing = loader.missing();
    if (missing) return { kind: "import", message: firstLine(message), missing };
  }
  const stack = error instanceof Error ? error.stack : undefined;
  const notExported = missingExport(message, stack);
  if (notExported) return { kind: "import", message: firstLine(message), missing: notExported };
  const [place] = framesOf(stack);
  return { kind: "threw", message, stack: tidyStack(details), ...(place && { place }) };
}

/** Its stack begins with the place, and that is the only thing that names the importing file. */
function missingExport(message: string, stack: string | undefined): LoadFailure["missing"] {
  const match = /The requested module '(.*)' does not provide an export named '(.*)'/.exec(message);
  const importer = /^(?:file:\/\/)?(\/.*):\d+\n/.exec(stack ?? "")?.[1];
  if (!match || !importer) return undefined;
  return { specifier: match[1]!, name: match[2]!, importer: decodeURIComponent(importer) };
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}
