// How the sandbox of a command comes to be: its image is built, pulled, or here; its services are beside it; its
// container was ready, or is made.

import { posix } from "node:path";
import type Docker from "dockerode";
import type { KindOf, Pool } from "../pool/pool.js";
import { buildSandbox, unbuiltSandbox } from "./build-sandbox.js";
import type { Builds } from "./docker-builds.js";
import type { StartedContainer } from "./docker-container.js";
import { answered, engineWords, statusOf } from "./docker-errors.js";
import type { Images } from "./docker-images.js";
import type { EngineLife, EngineLink } from "./docker-link.js";
import type { ContainerMaker } from "./docker-maker.js";
import { splitEnv } from "./docker-script.js";
import { openWithServices } from "./docker-services.js";
import { type ContainerShape, isCommon, shapeOf } from "./docker-shape.js";
import { DeafShell } from "./docker-shells.js";
import { isMissingFolder } from "./docker-source.js";
import type { EngineApi } from "./engine/api.js";
import {
  ExecutorFault,
  type OpenOptions,
  type Sandbox,
  type SandboxBuild,
  type SandboxFolder,
  type SandboxSpec,
} from "./executor.js";
import type { Removals } from "./removals.js";
import type { Rests } from "./rests.js";

export interface OpeningDeps {
  readonly docker: Docker;
  readonly api: EngineApi;
  readonly owner: string;
  readonly link: EngineLink;
  readonly images: Images;
  readonly alwaysPull: boolean;
  readonly builds: Builds;
  readonly pool: Pool<ContainerShape, StartedContainer>;
  readonly maker: ContainerMaker;
  readonly removals: Removals;
  readonly rests: Rests;
  readonly log: (line: string) => void;
}

export interface Opening {
  /** As Executor.open. */
  open(spec: SandboxSpec, io: OpenOptions): Promise<Sandbox>;
  /** Null where the image is missing. */
  kindOf(shape: ContainerShape): Promise<KindOf<ContainerShape> | null>;
}

export function createOpening(deps: OpeningDeps): Opening {
  const {
    docker,
    api,
    owner,
    link,
    images,
    alwaysPull,
    builds,
    pool,
    maker,
    removals,
    rests,
    log,
  } = deps;

  /** Null where the image is missing. */
  async function idOfImage(image: string): Promise<string | null> {
    try {
      return await api.imageId(image);
    } catch (error) {
      throw new ExecutorFault(`Docker could not look for image "${image}": ${engineWords(error)}`, {
        lost: statusOf(error) === null,
      });
    }
  }

  /** Asked each time, which costs half a millisecond: so an image that was just built is the one that is used. */
  async function kindOf(shape: ContainerShape): Promise<KindOf<ContainerShape> | null> {
    const version = await idOfImage(shape.image);
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
    const id = await life.during(idOfImage(result.image));
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
    if (alwaysPull) await pull();
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

  async function openOnce(life: EngineLife, asked: SandboxSpec, io: OpenOptions): Promise<Sandbox> {
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
        const look = () => idOfImage(of.image);
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
    const instead = await io.instead?.(kind.version);
    if (instead) return instead;
    const folders = await life.during(placedFolders(shape));
    const own = { ...kind, shape: { ...shape, folders } };
    try {
      if (!isCommon(shape)) return await maker.ready(await maker.make(life, own), spec, told);
      for (;;) {
        const container = await pool.take(kind, io.signal);
        // Of an engine that has gone since: its containers are removed when it is back.
        if (!container.life.isOver || life.isOver) return await maker.ready(container, spec, told);
      }
    } catch (error) {
      if (!(error instanceof DeafShell)) throw error;
      return maker.makeDeaf(life, own, { spec, told });
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
    kindOf,
    async open(spec, io) {
      const life = link.life();
      const didMount = maker.mountsSources;
      const opening = openOnce(life, spec, io).catch((error: unknown) => {
        if (!didMount || !isMissingFolder(error)) throw error;
        if (maker.mountsSources)
          log("the engine does not see this machine's files: sources are copied into containers");
        maker.mountNoSources();
        return openOnce(life, spec, io);
      });
      try {
        const sandbox = await orLost(life, opening);
        return {
          ...sandbox,
          async run(sink) {
            const startedAt = performance.now();
            const ended = pool.began();
            const endsBusy = rests.began();
            try {
              return await orLost(life, sandbox.run(sink));
            } finally {
              endsBusy();
              ended(performance.now() - startedAt);
            }
          },
        };
      } catch (error) {
        void opening.then((sandbox) => sandbox.dispose()).catch(() => {});
        throw error;
      }
    },
  };
}
