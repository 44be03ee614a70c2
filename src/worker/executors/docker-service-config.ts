// What a service's container is made with.

import { randomBytes } from "node:crypto";
import type Docker from "dockerode";
import type { ServiceReady } from "../../wire/service.js";
import { defaultMaxPids } from "../maxima.js";
import { ownerLabel } from "./docker-labels.js";
import { imageLabel } from "./docker-shape.js";
import type { ServiceSpec } from "./executor.js";

export interface ImageHealth {
  readonly Test?: readonly string[] | null;
  readonly Interval?: number;
}

export interface ServiceSettings {
  readonly imageId: string;
  readonly owner: string;
  readonly network: string;
  readonly health: ImageHealth | undefined;
}

/** By the name that its command knows it by. */
export const serviceLabel = "bettertest.service";

/** Images check themselves every 30 seconds unless they say otherwise: a test would wait for that. */
const longestCheckIntervalNs = 1e9;

export function serviceConfig(
  name: string,
  spec: ServiceSpec,
  { imageId, owner, network, health }: ServiceSettings,
): {
  readonly config: Docker.ContainerCreateOptions;
  readonly ready: ServiceReady | "health" | "started";
} {
  const hasCheck = (health?.Test?.length ?? 0) > 0 && health?.Test?.[0] !== "NONE";
  const ready = spec.ready ?? (hasCheck ? "health" : "started");
  const interval = Math.min(health?.Interval || longestCheckIntervalNs, longestCheckIntervalNs);
  const config: Docker.ContainerCreateOptions = {
    name: `bettertest-${randomBytes(6).toString("hex")}`,
    Image: imageId,
    Hostname: name,
    ...(spec.command && { Cmd: spec.command }),
    Env: Object.entries(spec.env ?? {}).map(([variable, value]) => `${variable}=${value}`),
    ...(spec.user !== undefined && { User: spec.user }),
    Labels: { [ownerLabel]: owner, [imageLabel]: spec.image, [serviceLabel]: name },
    AttachStdout: true,
    AttachStderr: true,
    StopTimeout: 1,
    // Without a test of its own: that of the image.
    Healthcheck: ready === "health" ? { Interval: interval } : { Test: ["NONE"] },
    HostConfig: {
      // As with the command's own container: output is read from the attach stream alone.
      LogConfig: { Type: "none", Config: {} },
      SecurityOpt: ["no-new-privileges"],
      NetworkMode: network,
      PidsLimit: spec.pids ?? defaultMaxPids,
      ...(spec.cpus !== undefined && { NanoCpus: Math.round(spec.cpus * 1e9) }),
      ...(spec.diskBytes !== undefined && { StorageOpt: { size: String(spec.diskBytes) } }),
      ...(spec.memoryBytes !== undefined && {
        Memory: spec.memoryBytes,
        MemorySwap: spec.memoryBytes,
      }),
    },
    NetworkingConfig: { EndpointsConfig: { [network]: { Aliases: [name] } } },
  };
  return { config, ready };
}
