// Images that are built here: each once, however many ask for it, and kept under a name that says what they are made of.
//
// An image gets its name when it is whole; so what a killed worker or engine leaves half made is found by nobody. What
// else a build has made (stages that are only copied from, the steps before a red one) is named as a part
// of the same key: the next build goes on from it, and it goes with it.

import { Readable } from "node:stream";
import type Docker from "dockerode";
import * as z from "zod";
import { asError } from "../../lib/as-error.js";
import { orAborted } from "../../lib/or-else.js";
import { builtImages, type ImageResult } from "../../wire/image-build.js";
import { type BuildPlan, planBuild, UnbuildableSource } from "../images/build-plan.js";
import { BuildStream, buildKitHint } from "./build-stream.js";
import { buildLabel, readBuildLabel, removeUnusedImages } from "./docker-built-images.js";
import { answered, engineWords, statusOf } from "./docker-errors.js";
import type { Images } from "./docker-images.js";
import { ExecutorFault, type OutputSink, type SandboxBuild } from "./executor.js";

export interface BuildsOptions {
  readonly docker: Docker;
  readonly images: Images;
  /** Base images are looked for anew each time. */
  readonly alwaysPull: boolean;
  readonly owner: string;
  /** What one build may have of this machine. */
  readonly limits: { readonly memoryBytes?: number; readonly cpus?: number };
  readonly maxBytes: number;
  readonly log: (line: string) => void;
}

export interface BuildIo {
  readonly signal: AbortSignal;
  readonly output: (text: string) => ReturnType<OutputSink>;
}

export interface Build {
  readonly result: ImageResult;
  readonly exitCode: number;
}

interface SharedBuild {
  /** Null: what it builds upon has changed meanwhile. */
  readonly done: Promise<Build | null>;
  readonly audience: Set<BuildIo["output"]>;
  /** What it has printed so far, for those who come later. */
  said: string;
  readonly abort: AbortController;
}

/** Of what a build has printed, for those who join it. */
const mostSaid = 1024 * 1024;
const mostPlans = 8;
/** Of one image whose bases change while it is built. */
const mostBuilds = 3;

export class Builds {
  readonly #options: BuildsOptions;
  readonly #running = new Map<string, SharedBuild>();
  /** Those too that nobody waits for any more. */
  readonly #unfinished = new Set<SharedBuild>();
  readonly #plans = new Map<string, BuildPlan>();
  #sweeping: Promise<void> = Promise.resolve();

  constructor(options: BuildsOptions) {
    this.#options = options;
  }

  /** The image of this recipe, built unless it is here. Rejects with an ExecutorFault, or when the signal is aborted. */
  async make(build: SandboxBuild, io: BuildIo): Promise<Build> {
    let plan: BuildPlan;
    try {
      plan = this.#plan(build);
    } catch (error) {
      if (!(error instanceof UnbuildableSource)) throw fault(error);
      await io.output(`${error.message}\n`);
      return failed(error.message);
    }
    for (let tries = 1; tries <= mostBuilds; tries++) {
      const made = await this.#makeOnce(build, plan, io);
      if (made) return made;
    }
    throw new ExecutorFault(
      "the images that it builds upon change again and again while it is built",
    );
  }

  /** Null: what it builds upon has changed meanwhile. */
  async #makeOnce(build: SandboxBuild, plan: BuildPlan, io: BuildIo): Promise<Build | null> {
    const { signal, output } = io;
    const baseIds: string[] = [];
    for (const base of plan.bases) baseIds.push(await this.#baseId(base, io));
    signal.throwIfAborted();
    const key = plan.keyWith(baseIds);
    // A command that finds its image has nothing to say of it; the call that asked for it has.
    const here = await this.#cached(key, build.only ? output : () => {});
    if (here) return here;
    return this.#share(
      key,
      io,
      async (tell, aborted) =>
        // It may have been made since by those whom nobody waits for any more, or by another worker.
        (await this.#cached(key, tell)) ??
        this.#build(build, plan, { key, baseIds, tell, signal: aborted }),
    );
  }

  /** A command asks for the image that its task has just asked for, and so do others. */
  #plan(build: SandboxBuild): BuildPlan {
    const { context, dockerfile, target, args, tree } = build;
    const name = JSON.stringify([tree.hash, context, dockerfile, target, args]);
    const plan = this.#plans.get(name) ?? planBuild(tree, build);
    this.#plans.delete(name);
    this.#plans.set(name, plan);
    const [oldest] = this.#plans.keys();
    if (this.#plans.size > mostPlans && oldest !== undefined) this.#plans.delete(oldest);
    return plan;
  }

  async #cached(key: string, tell: (text: string) => unknown): Promise<Build | null> {
    const found = await this.#find(key);
    if (!found) return null;
    const name = imageName(key);
    await this.#touch(name);
    const { madeAt, by } = found;
    const whose = by ? `by run ${by.run} (${by.task}), ` : "";
    await tell(`cached: ${name} was made ${whose}${new Date(madeAt).toISOString()}\n`);
    return made({ kind: "made", image: name, cached: true, madeAt, by });
  }

  async #share(
    key: string,
    { signal, output }: BuildIo,
    begin: (tell: (text: string) => Promise<unknown>, signal: AbortSignal) => Promise<Build | null>,
  ): Promise<Build | null> {
    let shared = this.#running.get(key);
    let told: Promise<void> | undefined;
    if (shared) told = output(`Waiting for the same build, which runs already\n${shared.said}`);
    else {
      const audience: SharedBuild["audience"] = new Set();
      const abort = new AbortController();
      const tell = (text: string) => {
        started.said += text;
        if (started.said.length > 2 * mostSaid) started.said = started.said.slice(-mostSaid);
        return Promise.all([...audience].map((listener) => listener(text)));
      };
      const done = Promise.resolve()
        .then(() => begin(tell, abort.signal))
        .finally(() => {
          if (this.#running.get(key) === started) this.#running.delete(key);
          this.#unfinished.delete(started);
        });
      done.catch(() => {});
      const started: SharedBuild = { done, audience, said: "", abort };
      shared = started;
      this.#running.set(key, started);
      this.#unfinished.add(started);
    }
    // What was said before comes first.
    const listener: BuildIo["output"] = (text) =>
      told ? told.then(() => output(text)) : output(text);
    shared.audience.add(listener);
    try {
      return await orAborted(shared.done, signal);
    } finally {
      shared.audience.delete(listener);
      if (shared.audience.size === 0) {
        // Nobody waits for it any more; whoever asks next begins anew.
        if (this.#running.get(key) === shared) this.#running.delete(key);
        shared.abort.abort(new ExecutorFault("the build was given up"));
      }
    }
  }

  async #build(
    build: SandboxBuild,
    plan: BuildPlan,
    {
      key,
      baseIds,
      tell,
      signal,
    }: {
      readonly key: string;
      readonly baseIds: readonly string[];
      readonly tell: (text: string) => Promise<unknown>;
      readonly signal: AbortSignal;
    },
  ): Promise<Build | null> {
    const { docker, owner, limits } = this.#options;
    const baseId = baseIds[plan.bases.indexOf(plan.base)] ?? "";
    const told = new BuildStream();
    const { by = null } = build;
    try {
      const stream = await docker.buildImage(
        Readable.from(plan.archive(build.tree), { objectMode: false }),
        {
          dockerfile: plan.dockerfile,
          rm: true,
          forcerm: true,
          ...(build.target !== undefined && { target: build.target }),
          ...(build.args && { buildargs: { ...build.args } }),
          labels: { [buildLabel]: JSON.stringify({ key, owner, base: baseId, by }) },
          ...limitsOf(limits),
          abortSignal: signal,
        },
      );
      for await (const chunk of stream) await tell(told.push(chunk));
      await tell(told.end());
    } catch (error) {
      await this.#nameParts(key, told.heads);
      this.#sweep();
      if (signal.aborted) throw signal.reason;
      // A Dockerfile that cannot be read at all.
      if (statusOf(error) !== 400) throw fault(error);
      const message = engineWords(error);
      await tell(`${message}\n`);
      return failed(message + buildKitHint(message, plan.text));
    }
    const { error, imageId, step, heads } = told;
    // Nobody knows which one the engine has found when it began.
    const hasMoved = !error && !(await this.#areStill(plan.bases, baseIds));
    const isWhole = !error && !hasMoved && imageId !== null;
    await this.#nameParts(key, isWhole ? heads.slice(0, -1) : heads);
    // Also what failed has left something that takes room.
    this.#sweep();
    if (error && isFault(error.message)) throw fault(new Error(error.message));
    if (error) {
      const message = error.message + buildKitHint(error.message, plan.text);
      return failed(message, { step, exitCode: error.code });
    }
    if (imageId === null)
      throw new ExecutorFault("the Docker engine ended a build without a word", { lost: true });
    if (hasMoved) {
      await tell("An image that it builds upon has changed while it was built: once more\n");
      return null;
    }
    const madeAt = await this.#name(key, imageId);
    return made({ kind: "made", image: imageName(key), cached: false, madeAt, by });
  }

  #sweep(): void {
    const { docker, maxBytes, log } = this.#options;
    this.#sweeping = this.#sweeping.then(() =>
      removeUnusedImages(docker, { maxBytes }).catch((error: unknown) =>
        log(`built images could not be looked through: ${engineWords(error)}`),
      ),
    );
  }

  /** Where another worker of the same engine was quicker, its image is the one. */
  async #name(key: string, imageId: string): Promise<number> {
    const { docker } = this.#options;
    try {
      const found = await this.#find(key);
      if (found && found.id !== imageId) {
        await docker
          .getImage(imageId)
          .remove()
          .catch(() => {});
        return found.madeAt;
      }
      await answered(docker.getImage(imageId).tag({ repo: builtImages, tag: tagOf(key) }));
      return Date.now();
    } catch (error) {
      throw fault(error);
    }
  }

  async #nameParts(key: string, heads: BuildStream["heads"]): Promise<void> {
    const { docker } = this.#options;
    for (const [index, { id, base }] of heads.entries()) {
      if (id === null) continue;
      const tag = `part-${tagOf(key)}-${index}-${(base ?? "0").slice(0, 12)}`;
      await answered(docker.getImage(id).tag({ repo: builtImages, tag })).catch(() => {});
    }
  }

  async #baseId(image: string, { signal, output }: BuildIo): Promise<string> {
    const { images, alwaysPull } = this.#options;
    const find = () => this.#idOf(image);
    const pull = () => images.pull(image, { signal, progress: (text) => void output(text) });
    if (alwaysPull) await pull();
    const here = await find();
    if (here !== null) return here;
    await pull();
    const pulled = await find();
    if (pulled === null) throw new ExecutorFault(`image "${image}" was pulled, and is not here`);
    return pulled;
  }

  /** Null: it is not here. */
  async #idOf(image: string): Promise<string | null> {
    try {
      return (await answered(this.#options.docker.getImage(image).inspect())).Id;
    } catch (error) {
      if (statusOf(error) === 404) return null;
      throw fault(error);
    }
  }

  async #areStill(images: readonly string[], ids: readonly string[]): Promise<boolean> {
    const now = await Promise.all(images.map((image) => this.#idOf(image)));
    return now.every((id, index) => id === ids[index]);
  }

  async #find(key: string) {
    const { docker } = this.#options;
    try {
      const found = await answered(docker.getImage(imageName(key)).inspect());
      const label = readBuildLabel(found.Config?.Labels);
      // The name is only its beginning; and anybody can name an image.
      if (label?.key !== key) return null;
      return { id: found.Id, madeAt: Date.parse(found.Created), by: label.by };
    } catch (error) {
      if (statusOf(error) === 404) return null;
      throw fault(error);
    }
  }

  /** The engine remembers when a name was last given: so all its workers know what is used. */
  async #touch(name: string): Promise<void> {
    const [repo = "", tag = ""] = name.split(":");
    await answered(this.#options.docker.getImage(name).tag({ repo, tag })).catch(() => {});
  }

  /** Resolves when it does nothing any more. */
  async close(): Promise<void> {
    for (const { abort, done } of [...this.#unfinished]) {
      abort.abort(new ExecutorFault("the worker was stopped", { lost: true }));
      await done.catch(() => {});
    }
    await this.#sweeping;
  }
}

function tagOf(key: string): string {
  return key.slice(0, 32);
}

function imageName(key: string): string {
  return `${builtImages}:${tagOf(key)}`;
}

function limitsOf({ memoryBytes, cpus }: BuildsOptions["limits"]) {
  const periodUs = 100_000;
  return {
    ...(memoryBytes !== undefined && { memory: memoryBytes, memswap: memoryBytes }),
    ...(cpus !== undefined && {
      cpuperiod: periodUs,
      cpuquota: Math.max(1_000, Math.round(cpus * periodUs)),
    }),
  };
}

function made(result: ImageResult): Build {
  return { result, exitCode: 0 };
}

function failed(
  message: string,
  { step = null, exitCode = 0 }: { step?: string | null; exitCode?: number } = {},
): Build {
  return { result: { kind: "failed", step, message }, exitCode: exitCode || 1 };
}

/** What says nothing about the Dockerfile. */
function isFault(message: string): boolean {
  return /no space left on device|disk quota exceeded|context canceled|unexpected EOF|error during connect|toomanyrequests|TLS handshake timeout|(?:dial|read) (?:tcp|udp|unix)|failed to register layer/i.test(
    message,
  );
}

function fault(error: unknown): ExecutorFault {
  if (error instanceof ExecutorFault) return error;
  const words = error instanceof z.ZodError ? asError(error).message : engineWords(error);
  return new ExecutorFault(`the image could not be built: ${words}`, {
    lost: error instanceof Error && "syscall" in error,
  });
}
