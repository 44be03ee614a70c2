// Containers that wait for a command, or that are made for one.

import { posix } from "node:path";
import type Docker from "dockerode";
import type { KindOf } from "../pool/pool.js";
import { type StartedContainer, startContainer } from "./docker-container.js";
import { engineWords, statusOf } from "./docker-errors.js";
import type { EngineLife } from "./docker-link.js";
import { type ContainerShape, containerConfig, imageLabel } from "./docker-shape.js";
import { deafShell, type Shell, Shells } from "./docker-shells.js";
import { copiedFrom, copySource, fillSource } from "./docker-source.js";
import { DockerUsers } from "./docker-users.js";
import type { EngineApi } from "./engine/api.js";
import {
  ExecutorFault,
  type MakePlace,
  type Sandbox,
  type SandboxSource,
  type SandboxSpec,
} from "./executor.js";
import type { Removals } from "./removals.js";
import type { Rests } from "./rests.js";
import { pathWithin } from "./source-path.js";

export interface MakerOptions {
  readonly docker: Docker;
  readonly api: EngineApi;
  readonly owner: string;
  readonly removals: Removals;
  readonly rests: Rests;
  /** Absent: no command has a source. */
  readonly place: MakePlace | undefined;
  /** The engine sees this machine's files. */
  readonly mountsSources: boolean;
  readonly log: (line: string) => void;
}

interface Told {
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
}

interface Making {
  readonly shell: Shell;
  /** What such a shell must know from the start. */
  readonly given?: Told;
  readonly source?: SandboxSource | undefined;
}

export class ContainerMaker {
  readonly #options: MakerOptions;
  readonly #shells: Shells;
  readonly #users = new DockerUsers();
  #mountsSources: boolean;

  constructor(options: MakerOptions) {
    this.#options = options;
    this.#shells = new Shells(options.log);
    this.#mountsSources = options.mountsSources;
  }

  get mountsSources(): boolean {
    return this.#mountsSources;
  }

  /** From now on sources are copied into containers. */
  mountNoSources(): void {
    this.#mountsSources = false;
  }

  /** One that waits for its command; rejects with a DeafShell where the image has none that would. */
  make(life: EngineLife, kind: KindOf<ContainerShape>): Promise<StartedContainer> {
    return this.#shells.find(kind.version, (shell) => {
      if (shell.reads) return this.#makeWith(life, kind, { shell });
      throw deafShell(kind.shape.image, "it did not take one");
    });
  }

  /** One for this command alone: its shell is told when it is made. */
  async makeDeaf(
    life: EngineLife,
    kind: KindOf<ContainerShape>,
    { spec, told }: { readonly spec: SandboxSpec; readonly told: Readonly<Record<string, string>> },
  ): Promise<Sandbox> {
    const given = { command: spec.command, env: told };
    const container = await this.#shells.find(kind.version, (shell) =>
      this.#makeWith(life, kind, { shell, given, source: spec.source }),
    );
    return this.#withSource(container.use({ ...given, folder: null }), container, spec);
  }

  async #makeWith(life: EngineLife, kind: KindOf<ContainerShape>, by: Making) {
    const making = this.#started(life, kind, by);
    try {
      return await life.during(making);
    } catch (error) {
      // An engine that is back sooner than the old one's end is noticed may still make it.
      void making.then((made) => made.discard()).catch(() => {});
      throw error;
    }
  }

  async #started(
    life: EngineLife,
    { shape, version }: KindOf<ContainerShape>,
    { shell, given, source }: Making,
  ): Promise<StartedContainer> {
    const { docker, api, owner, removals, rests, log } = this.#options;
    const isKnown = this.#shells.known(version) !== undefined;
    await removals.room();
    const place = shape.sourcePath === undefined ? null : ((await this.#options.place?.()) ?? null);
    try {
      life.throwIfOver();
      const copied = !this.#mountsSources;
      const seen = copied ? null : place;
      const settings = {
        ...{ imageId: version, owner, place: seen, mountsFolders: !copied },
        ...{ shell: shell.path, ...(given && { given }) },
      };
      const container = docker.getContainer(await this.#created(containerConfig(shape, settings)));
      const user = await this.#prepared(container, async () => {
        life.throwIfOver();
        const found = place && (await this.#users.of(container, { version, user: shape.user }));
        const { workdir } = shape;
        if (place && source) {
          await fillSource(container, source, { place, workdir, owner: found, isShown: !copied });
        }
        if (copied) for (const one of shape.folders) await copySource(container, one);
        return found;
      });
      const { image, memoryBytes } = shape;
      const own = { place, owner: user, copied };
      const made = { api, image, memoryBytes, ...own, shell, isKnown, life, removals, rests, log };
      return await startContainer(container, made);
    } catch (error) {
      await place?.release();
      throw error;
    }
  }

  async #created(config: Docker.ContainerCreateOptions): Promise<string> {
    try {
      return await this.#options.api.create(config);
    } catch (error) {
      throw new ExecutorFault(
        `Docker could not make a container of image "${config.Labels?.[imageLabel]}": ${engineWords(error)}`,
        { lost: statusOf(error) === null },
      );
    }
  }

  /** What is done before its start; where that fails, nothing is left of it. */
  async #prepared<T>(container: Docker.Container, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      void this.#options.removals.remove(container.id);
      throw error;
    }
  }

  /** All but the command itself. */
  async ready(
    container: StartedContainer,
    spec: SandboxSpec,
    env: Readonly<Record<string, string>>,
  ): Promise<Sandbox> {
    const { command, source, workdir } = spec;
    if (!source || !container.place) return container.use({ command, env, folder: null });
    try {
      const { place, owner } = container;
      const isShown = this.#mountsSources;
      await fillSource(container.container, source, { place, isShown, workdir, owner });
      const used = container.use({ command, env, folder: workdir ?? source.path });
      const sandbox = this.#withSource(used, container, spec);
      if (!this.#mountsSources) return sandbox;
      const below = pathWithin(source.path, workdir ?? source.path);
      const files = { kind: "folder", path: place.path, source: place, since: Date.now() } as const;
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

  /** Files that are read as an archive may be those of the source. */
  #withSource(
    sandbox: Sandbox,
    { place }: StartedContainer,
    { source, workdir }: SandboxSpec,
  ): Sandbox {
    const below = source && pathWithin(source.path, workdir ?? source.path);
    if (!place || typeof below !== "string" || sandbox.files?.kind !== "archive") return sandbox;
    const origins = this.#mountsSources ? place : copiedFrom(place);
    const originOf: typeof origins.originOf = (path, modifiedAt) =>
      origins.originOf(posix.join(below, path), modifiedAt);
    return { ...sandbox, files: { ...sandbox.files, originOf } };
  }
}
