// A fresh container for each command.

import { Agent } from "node:http";
import { posix } from "node:path";
import { inspect } from "node:util";
import type Docker from "dockerode";
import { currentOwner, isDead, ownerKey } from "../../lib/owner.js";
import { type KindOf, Pool } from "../pool/pool.js";
import { buildSandbox, unbuiltSandbox } from "./build-sandbox.js";
import { Builds } from "./docker-builds.js";
import { type StartedContainer, startContainer } from "./docker-container.js";
import { diskLimitProblem } from "./docker-disk.js";
import { answered, engineWords, statusOf } from "./docker-errors.js";
import { startDockerGuard } from "./docker-guard.js";
import { createImages, type PullPolicy } from "./docker-images.js";
import { ownerLabel } from "./docker-labels.js";
import { removeLeftovers } from "./docker-leftovers.js";
import { type EngineLife, EngineLink } from "./docker-link.js";
import { splitEnv } from "./docker-script.js";
import { openWithServices } from "./docker-services.js";
import {
  type ContainerShape,
  containerConfig,
  imageLabel,
  isCommon,
  shapeOf,
} from "./docker-shape.js";
import { DeafShell, deafShell, type Shell, Shells } from "./docker-shells.js";
import { copySource, fillSource, isMissingFolder } from "./docker-source.js";
import { DockerUsers } from "./docker-users.js";
import { DockerClient } from "./dockerode.js";
import {
  type Executor,
  ExecutorFault,
  type MakePlace,
  type OpenOptions,
  type Sandbox,
  type SandboxBuild,
  type SandboxFolder,
  type SandboxSource,
  type SandboxSpec,
} from "./executor.js";
import { Removals } from "./removals.js";
import { pathWithin } from "./source-path.js";

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

export async function createDockerExecutor(options: DockerExecutorOptions): Promise<Executor> {
  const { log, poolMax = 0, poolIdleMs = 0 } = options;
  const { docker, agent } = connect(options.dockerHost);
  await checkEngine(docker, options.dockerHost);
  if (options.limitsDisk) {
    const problem = diskLimitProblem(await docker.info());
    if (problem !== null) throw new Error(`${problem}. Start without --max-disk`);
  }
  const removals = new Removals(log);
  await removeLeftovers(docker, log, (owner) => isDead(owner));
  const images = createImages(docker, options.pull);
  const owner = ownerKey(currentOwner());
  const builds = new Builds({
    docker,
    images,
    alwaysPull: options.pull === "always",
    owner,
    limits: options.buildLimits ?? {},
    maxBytes: options.maxImageBytes ?? 20 * 2 ** 30,
    log,
  });
  const link = await EngineLink.open({
    docker,
    address: addressOf(options.dockerHost),
    label: `${ownerLabel}=${owner}`,
    knock: () => knock(options.dockerHost),
    // All of our own too: whoever waited for them has been told that they are lost.
    returned: async () => {
      await removeLeftovers(docker, log, (of) => ownerKey(of) === owner || isDead(of));
    },
  });
  let tellReady = (_: number) => {};
  const pool = new Pool<ContainerShape, StartedContainer>({
    make: (kind) => make(link.life(), kind),
    max: poolMax,
    idleMs: poolIdleMs,
    changed: (ready) => tellReady(ready),
  });
  const guard = startDockerGuard(owner, options.dockerHost);

  const shells = new Shells(log);
  const users = new DockerUsers();
  let mountsSources = addressOf(options.dockerHost).startsWith("unix://");

  /** One that waits for its command; rejects with a DeafShell where the image has none that would. */
  function make(life: EngineLife, kind: KindOf<ContainerShape>) {
    return shells.find(kind.version, (shell) => {
      if (shell.reads) return makeWith(life, kind, { shell });
      throw deafShell(kind.shape.image, "it did not take one");
    });
  }

  /** One for this command alone: its shell is told when it is made. */
  async function makeDeaf(
    life: EngineLife,
    kind: KindOf<ContainerShape>,
    { spec, told }: { readonly spec: SandboxSpec; readonly told: Readonly<Record<string, string>> },
  ) {
    const given = { command: spec.command, env: told };
    const container = await shells.find(kind.version, (shell) =>
      makeWith(life, kind, { shell, given, source: spec.source }),
    );
    return container.use({ ...given, folder: null });
  }

  async function makeWith(
    life: EngineLife,
    { shape, version }: KindOf<ContainerShape>,
    { shell, given, source }: Making,
  ) {
    const isKnown = shells.known(version) !== undefined;
    const making = (async () => {
      await removals.room();
      const place = shape.sourcePath === undefined ? null : ((await options.place?.()) ?? null);
      try {
        const copied = !mountsSources;
        const seen = copied ? null : place;
        const settings = {
          ...{ imageId: version, owner, place: seen, mountsFolders: !copied },
          ...{ shell: shell.path, ...(given && { given }) },
        };
        const container = await createContainer(docker, containerConfig(shape, settings));
        const user = await prepare(container, async () => {
          const found = place && (await users.of(container, { version, user: shape.user }));
          const { workdir } = shape;
          if (place && source) {
            await fillSource(container, source, { place, workdir, owner: found, isShown: !copied });
          }
          if (copied) for (const one of shape.folders) await copySource(container, one);
          return found;
        });
        const { image, memoryBytes } = shape;
        const own = { place, owner: user, copied };
        const made = { image, memoryBytes, ...own, shell, isKnown, life, removals, log };
        return await startContainer(container, made);
      } catch (error) {
        await place?.release();
        throw error;
      }
    })();
    try {
      return await life.during(making);
    } catch (error) {
      // An engine that is back sooner than the old one's end is noticed may still make it.
      void making.then((made) => made.discard()).catch(() => {});
      throw error;
    }
  }

  /** What is done before its start; where that fails, nothing is left of it. */
  async function prepare<T>(container: Docker.Container, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      void removals.remove(container);
      throw error;
    }
  }

  /** All but the command itself. */
  async function prepared(
    container: StartedContainer,
    { command, source, workdir }: SandboxSpec,
    env: Readonly<Record<string, string>>,
  ): Promise<Sandbox> {
    if (!source || !container.place) return container.use({ command, env, folder: null });
    try {
      const { place, owner } = container;
      const isShown = mountsSources;
      await fillSource(container.container, source, { place, isShown, workdir, owner });
      const sandbox = container.use({ command, env, folder: workdir ?? source.path });
      if (!mountsSources) return sandbox;
      const below = pathWithin(source.path, workdir ?? source.path);
      const files = { kind: "folder", path: place.path, since: Date.now() } as const;
      return {
        ...sandbox,
        sourceFolder: place.path,
        // What is in the source can be read where it lies.
        ...(below !== null && { files: { ...files, below } }),
      };
    } catch (error) {
      void container.discard();
      throw error;
    }
  }

  /** Asked each time, which costs half a millisecond: so an image that was just built is the one that is used. */
  async function kindOf(shape: ContainerShape): Promise<KindOf<ContainerShape> | null> {
    const version = await idOfImage(docker, shape.image);
    return version === null ? null : { key: JSON.stringify(shape), version, shape };
  }

  /** What begins where the image starts commands is named by its whole path. */
  async function placedFolders({ image, folders }: ContainerShape): Promise<SandboxFolder[]> {
    if (folders.every(({ path }) => path.startsWith("/"))) return [...folders];
    const { Config } = await answered(docker.getImage(image).inspect());
    return folders.map(({ folder, path }) => ({
      folder,
      path: posix.join("/", Config.WorkingDir, path),
    }));
  }

  /** What a build that ended says is believed only while its engine is sound. */
  async function makeImage(life: EngineLife, ...given: Parameters<Builds["make"]>) {
    const build = await orLost(life, builds.make(...given));
    if (build.result.kind === "made" || (await link.isSound(life))) return build;
    throw new ExecutorFault("the Docker engine went away while it built", { lost: true });
  }

  async function builtId(life: EngineLife, build: SandboxBuild, io: OpenOptions) {
    const output = (text: string) => void io.progress(text);
    const { result } = await makeImage(life, build, { signal: io.signal, output });
    if (result.kind === "failed")
      throw new ExecutorFault(`its image could not be built: ${result.message}`);
    const id = await life.during(idOfImage(docker, result.image));
    if (id === null) throw new ExecutorFault("its image was removed as soon as it was built");
    return id;
  }

  /** What `look` finds of an image, which is pulled where it is missing. */
  async function withImage<T>(
    life: EngineLife,
    { image, look }: { readonly image: string; readonly look: () => Promise<T | null> },
    io: OpenOptions,
  ): Promise<T> {
    const pull = () => life.during(images.pull(image, io));
    if (options.pull === "always") await pull();
    io.signal.throwIfAborted();
    let found = await life.during(look());
    if (found === null) {
      await pull();
      io.signal.throwIfAborted();
      found = await life.during(look());
    }
    if (found === null) throw new ExecutorFault(`image "${image}" was pulled, and is not here`);
    io.signal.throwIfAborted();
    return found;
  }

  async function open(life: EngineLife, asked: SandboxSpec, io: OpenOptions): Promise<Sandbox> {
    const { build } = asked;
    if (build?.only) return buildSandbox(build, (...given) => makeImage(life, ...given));
    let spec = asked;
    if (build) {
      const { result, ...failed } = await makeImage(life, build, {
        signal: io.signal,
        output: (text) => void io.progress(text),
      });
      if (result.kind === "failed") return unbuiltSandbox({ result, ...failed });
      spec = { ...asked, image: result.image };
    }
    const openOne = (one: SandboxSpec, oneIo: OpenOptions) => openContainer(life, one, oneIo);
    if (!spec.services) return openOne(spec, io);
    return openWithServices(spec, io, openOne, {
      ...{ docker, owner, life, removals, log },
      imageId: async (of, { signal, progress }) => {
        if (of.build) return builtId(life, of.build, { signal, progress });
        const look = () => idOfImage(docker, of.image);
        return withImage(life, { image: of.image, look }, { signal, progress });
      },
    });
  }

  async function openContainer(life: EngineLife, spec: SandboxSpec, io: OpenOptions) {
    const { told, madeWith } = splitEnv(spec.env);
    const shape = shapeOf({ ...spec, sourcePath: spec.source?.path }, madeWith, spec.folders);
    const look = () => life.during(kindOf(shape));
    const kind = spec.build ? await look() : await withImage(life, { image: spec.image, look }, io);
    if (!kind) throw new ExecutorFault(`image ${spec.image} was removed as soon as it was built`);
    io.signal.throwIfAborted();
    const folders = await life.during(placedFolders(shape));
    const own = { ...kind, shape: { ...shape, folders } };
    try {
      if (!isCommon(shape)) return await prepared(await make(life, own), spec, told);
      for (;;) {
        const container = await pool.take(kind, io.signal);
        // Of an engine that has gone since: its containers are removed when it is back.
        if (!container.life.isOver || life.isOver) return await prepared(container, spec, told);
      }
    } catch (error) {
      if (!(error instanceof DeafShell)) throw error;
      return makeDeaf(life, own, { spec, told });
    }
  }

  /** What goes wrong while the engine goes down is its doing, whatever it says last. */
  async function orLost<T>(life: EngineLife, work: Promise<T>): Promise<T> {
    try {
      return await life.during(work);
    } catch (error) {
      if (!(error instanceof ExecutorFault) || (await link.isSound(life)) || error.lost)
        throw error;
      throw new ExecutorFault(`${error.message}; the Docker engine is going away`, { lost: true });
    }
  }

  return {
    name: "docker",
    isolated: true,
    takesFolders: true,
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
        const kind = await kindOf(shapeOf(asked)).catch(() => null);
        // One that is not here is pulled by the first command, which shows how that goes.
        if (kind) pool.expect(kind, count);
      }
    },

    async open(spec, io) {
      const life = link.life();
      const didMount = mountsSources;
      const opening = open(life, spec, io).catch((error: unknown) => {
        if (!didMount || !isMissingFolder(error)) throw error;
        if (mountsSources)
          log("the engine does not see this machine's files: sources are copied into containers");
        mountsSources = false;
        return open(life, spec, io);
      });
      try {
        const sandbox = await orLost(life, opening);
        return {
          ...sandbox,
          async run(sink) {
            const startedAt = performance.now();
            const ended = pool.began();
            try {
              return await orLost(life, sandbox.run(sink));
            } finally {
              ended(performance.now() - startedAt);
            }
          },
        };
      } catch (error) {
        void opening.then((sandbox) => sandbox.dispose()).catch(() => {});
        throw error;
      }
    },

    relax: () => pool.close(),

    async close() {
      await builds.close();
      await pool.close();
      link.close();
      guard.close();
      agent?.destroy();
    },
  };
}

interface Making {
  readonly shell: Shell;
  /** What such a shell must know from the start. */
  readonly given?: { readonly command: string; readonly env: Readonly<Record<string, string>> };
  readonly source?: SandboxSource | undefined;
}

/** Null where the image is missing. */
async function idOfImage(docker: Docker, image: string): Promise<string | null> {
  try {
    return (await answered(docker.getImage(image).inspect())).Id;
  } catch (error) {
    if (statusOf(error) === 404) return null;
    throw new ExecutorFault(`Docker could not look for image "${image}": ${engineWords(error)}`, {
      lost: statusOf(error) === null,
    });
  }
}

function addressOf(dockerHost: string | undefined): string {
  return dockerHost ?? process.env.DOCKER_HOST ?? "unix:///var/run/docker.sock";
}

/** Over a connection of its own: those that are open are served until the end. */
async function knock(dockerHost: string | undefined): Promise<void> {
  const { docker, agent } = connect(dockerHost);
  try {
    await docker.ping();
  } finally {
    agent?.destroy();
  }
}

interface Connection {
  readonly docker: Docker;
  /** Own connections, kept open: the global agent's would outlive the executor. */
  readonly agent: Agent | null;
}

/**
 * The engine's client describes each request in full for a log that nobody reads, the agent with all its sockets
 * included: that took more time than everything else of a request.
 */
class BriefAgent extends Agent {
  [inspect.custom](): string {
    return "Agent";
  }
}

export function connect(dockerHost: string | undefined): Connection {
  const host = dockerHost ?? process.env.DOCKER_HOST ?? "";
  const agent = new BriefAgent({ keepAlive: true });
  if (host === "") {
    const local = { agent, protocol: "http" } as const;
    return { docker: new DockerClient(local), agent };
  }
  if (host.startsWith("unix://")) {
    const socket = { agent, socketPath: host.slice("unix://".length) };
    return { docker: new DockerClient(socket), agent };
  }
  // What is left reads certificates or keys from the environment, which dockerode does by itself.
  if (dockerHost === undefined) return { docker: new DockerClient(), agent: null };
  const url = new URL(host.includes("://") ? host : `tcp://${host}`);
  if (url.protocol === "ssh:") {
    const sshAgent = process.env.SSH_AUTH_SOCK;
    const docker = new DockerClient({
      protocol: "ssh",
      host: url.hostname,
      port: url.port || 22,
      username: url.username,
      ...(sshAgent && { sshOptions: { agent: sshAgent } }),
    });
    return { docker, agent: null };
  }
  const tcp = { agent, host: url.hostname, port: url.port || 2375 };
  return { docker: new DockerClient(tcp), agent };
}

async function checkEngine(docker: Docker, dockerHost: string | undefined) {
  const address = addressOf(dockerHost);
  let os: string;
  try {
    ({ Os: os } = await docker.version());
  } catch (error) {
    throw new Error(
      `no Docker engine answers at ${address} (${engineWords(error)}). ` +
        "Start Docker, or name its address with --docker or DOCKER_HOST; " +
        "or run commands right on this machine, without isolation: --executor process",
      { cause: error },
    );
  }
  if (os !== "linux")
    throw new Error(`the Docker engine at ${address} runs ${os} containers, not Linux ones`);
}

async function createContainer(docker: Docker, config: Docker.ContainerCreateOptions) {
  try {
    return await answered(docker.createContainer(config));
  } catch (error) {
    throw new ExecutorFault(
      `Docker could not make a container of image "${config.Labels?.[imageLabel]}": ${engineWords(error)}`,
      { lost: statusOf(error) === null },
    );
  }
}
