// What a container is made with, before its command is known.

import { randomBytes } from "node:crypto";
import type Docker from "dockerode";
import type { SandboxShape } from "../../wire/worker.js";
import { defaultMaxPids } from "../maxima.js";
import type { SourcePlace } from "../sources/places.js";
import { ownerLabel } from "./docker-labels.js";
import { folderMount, sourceMount } from "./docker-source.js";
import type { SandboxFolder } from "./executor.js";

/** All that a container is made with. */
export interface ContainerShape extends SandboxShape {
  readonly env: Readonly<Record<string, string>>;
  readonly folders: readonly SandboxFolder[];
}

/** By the name it was asked for with; the engine itself is told its id. */
export const imageLabel = "bettertest.image";

/** What can be made ahead: of nothing that is one command's alone. */
export function isCommon({ env, folders }: ContainerShape): boolean {
  return folders.length === 0 && Object.keys(env).length === 0;
}

export function shapeOf(
  { image, user, workdir, cpus, memoryBytes, diskBytes, pids, network, sourcePath }: SandboxShape,
  env: Readonly<Record<string, string>> = {},
  folders: readonly SandboxFolder[] = [],
): ContainerShape {
  const limits = { cpus, memoryBytes, diskBytes, pids, network };
  // In this order always, since alike ones are told by their text.
  return { image, user, workdir, ...limits, sourcePath, env, folders };
}

export interface ContainerSettings {
  readonly imageId: string;
  readonly owner: string;
  /** Of its source, where that is to be mounted. */
  readonly place: SourcePlace | null;
  /** The engine sees this machine's files. */
  readonly mountsFolders: boolean;
  readonly shell: string;
  /** Of a shell that must know it from the start. */
  readonly given?: { readonly command: string; readonly env: Readonly<Record<string, string>> };
}

export function containerConfig(
  shape: ContainerShape,
  { imageId, owner, place, mountsFolders, shell, given }: ContainerSettings,
): Docker.ContainerCreateOptions {
  const { sourcePath, folders } = shape;
  const workdir = shape.workdir ?? sourcePath;
  const seen = place && sourcePath !== undefined ? [sourceMount(place, sourcePath)] : [];
  if (mountsFolders) for (const { folder, path } of folders) seen.push(folderMount(folder, path));
  return {
    name: `bettertest-${randomBytes(6).toString("hex")}`,
    Image: imageId,
    // In place of the image's own: a shell that waits for the command, whatever the image was made for.
    Entrypoint: [shell],
    Cmd: given ? ["-c", given.command] : [],
    Env: Object.entries({ ...shape.env, ...given?.env }).map(([name, value]) => `${name}=${value}`),
    ...(workdir !== undefined && { WorkingDir: workdir }),
    ...(shape.user !== undefined && { User: shape.user }),
    Labels: { [ownerLabel]: owner, [imageLabel]: shape.image },
    AttachStdout: true,
    AttachStderr: true,
    AttachStdin: !given,
    OpenStdin: !given,
    // The shell's input ends with our connection: what a killed worker leaves behind ends by itself.
    StdinOnce: !given,
    // A shell that is the first process does not hear SIGTERM, and an engine that stops would wait for it.
    StopTimeout: 1,
    // A health check would run beside the test, for nobody.
    Healthcheck: { Test: ["NONE"] },
    HostConfig: {
      // Output is read from the attach stream alone, and kept in the worker's spool: the engine's own
      // log would cost a factor of five or more in speed, and disk that nobody bounds.
      LogConfig: { Type: "none", Config: {} },
      SecurityOpt: ["no-new-privileges"],
      // The shell that waits is one more than the command knows of.
      PidsLimit: (shape.pids ?? defaultMaxPids) + 1,
      ...(shape.network === false && { NetworkMode: "none" }),
      ...(seen.length > 0 && { Mounts: seen }),
      ...(shape.cpus !== undefined && { NanoCpus: Math.round(shape.cpus * 1e9) }),
      ...(shape.diskBytes !== undefined && { StorageOpt: { size: String(shape.diskBytes) } }),
      // Equal, so that the limit cannot be passed by swapping.
      ...(shape.memoryBytes !== undefined && {
        Memory: shape.memoryBytes,
        MemorySwap: shape.memoryBytes,
      }),
    },
  };
}
