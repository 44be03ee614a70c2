// From flags, as typed, to the options of engine and worker; here is where values are refused.

import { createSenderOf } from "../access/sender.js";
import { readTokenFile } from "../access/token-file.js";
import { openWorkerTokens } from "../access/worker-tokens.js";
import { noSecrets, type Secrets } from "../boss/secrets/secrets.js";
import { readSecretsFile, SecretsFileError } from "../boss/secrets/secrets-file.js";
import { parseDurationMs } from "../lib/units.js";
import { readTls, readTrusted } from "../wire/tls.js";
import { longestLeaseMs } from "../wire/well-known.js";
import type { Maxima } from "../worker/maxima.js";
import { cacheFolder } from "./cache-folder.js";
import { usageError } from "./cli-error.js";
import { localToken } from "./data-folder.js";
import { sizeOf } from "./size-of.js";
import { timeOf } from "./time-of.js";

export interface OutputFlags {
  readonly "max-output": string;
  readonly "max-artifacts": string;
}

/** What is kept of one command, by worker and boss alike. */
export function outputSettings(flags: OutputFlags) {
  const artifacts = flags["max-artifacts"];
  return {
    maxOutputBytes: sizeOf("max-output", flags["max-output"]),
    maxArtifactBytes: artifacts === "0" ? 0 : sizeOf("max-artifacts", artifacts),
  };
}

export interface RetentionFlags {
  readonly "keep-runs": number;
  readonly "keep-days"?: number | undefined;
  readonly "max-data": string;
}

export function retentionSettings(flags: RetentionFlags) {
  if (flags["keep-runs"] < 1) throw usageError("--keep-runs must be at least 1");
  const keepDays = flags["keep-days"] ?? Number.POSITIVE_INFINITY;
  if (!(keepDays > 0)) throw usageError("--keep-days must be more than 0");
  return {
    retention: {
      keepRuns: flags["keep-runs"],
      keepDays,
      maxDataBytes: sizeOf("max-data", flags["max-data"]),
    },
  };
}

export interface EngineFlags {
  readonly worker?: readonly string[] | undefined;
  readonly "worker-lease": string;
  readonly "infra-retries": number;
  readonly otlp?: string | undefined;
  readonly "worker-token-file"?: string | undefined;
  readonly "tls-ca"?: string | undefined;
}

/** `own`: URL and token of a worker in this process. */
export function engineSettings(flags: EngineFlags, own?: ReadonlyMap<string, string>) {
  const lease = flags["worker-lease"];
  const workerLeaseMs = lease === "0" ? 0 : parseDurationMs(lease);
  if (workerLeaseMs === null || workerLeaseMs > longestLeaseMs) {
    throw usageError(
      `--worker-lease ${lease} is no time up to 24 h`,
      "Times look like 90s or 5m; 0 waits for nobody.",
    );
  }
  const { otlp } = flags;
  return {
    workerLeaseMs: Math.ceil(workerLeaseMs),
    infraRetries: flags["infra-retries"],
    cacheFolder: cacheFolder(),
    ...(otlp !== undefined && { otlp: receiverUrl(otlp) }),
    workerCredentials: workerCredentials(flags, own),
  };
}

function receiverUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") {
    throw usageError(
      "--otlp must be the http or https URL of a receiver, without a login in it",
      "It looks like http://localhost:4318",
    );
  }
  return text;
}

function workerCredentials(flags: EngineFlags, own?: ReadonlyMap<string, string>) {
  const file = flags["worker-token-file"];
  const ca = flags["tls-ca"];
  try {
    return {
      tokens: openWorkerTokens({
        ...(file !== undefined && { file }),
        ...(own && { fixed: own }),
        local: (port) => localToken("worker", port),
      }),
      ...(ca !== undefined && { ca: readTrusted(ca) }),
    };
  } catch (error) {
    throw usageError(error instanceof Error ? error.message : String(error));
  }
}

export interface AccessFlags {
  readonly "token-file"?: string | undefined;
  readonly "trust-proxy"?: readonly string[] | undefined;
  readonly "tls-cert"?: string | undefined;
  readonly "tls-key"?: string | undefined;
}

/** `folder`: the server's data folder. */
export function accessSettings(flags: AccessFlags, folder: string) {
  const tokenFile = flags["token-file"];
  const trustProxy = flags["trust-proxy"] ?? [];
  const { "tls-cert": cert, "tls-key": key } = flags;
  if ((cert === undefined) !== (key === undefined)) {
    throw usageError("--tls-cert and --tls-key need each other");
  }
  try {
    createSenderOf(trustProxy);
    if (tokenFile !== undefined) readTokenFile(tokenFile);
    if (cert !== undefined && key !== undefined) readTls({ cert, key });
  } catch (error) {
    throw usageError(error instanceof Error ? error.message : String(error));
  }
  return {
    access: { folder, trustProxy, ...(tokenFile !== undefined && { tokenFile }) },
    ...(cert !== undefined && key !== undefined && { tls: { cert, key } }),
  };
}

export interface SecretsFlags {
  readonly "secrets-file"?: string | undefined;
}

export function secretsSettings({ "secrets-file": path }: SecretsFlags): {
  readonly secrets: Secrets;
} {
  if (path === undefined) return { secrets: noSecrets };
  try {
    return { secrets: readSecretsFile(path) };
  } catch (error) {
    if (!(error instanceof SecretsFileError)) throw error;
    throw usageError(`--secrets-file: ${error.message}`);
  }
}

export interface WorkerFlags {
  readonly executor?: "docker" | "process" | undefined;
  readonly slots?: number | undefined;
  readonly pull: "missing" | "always" | "never";
  readonly docker?: string | undefined;
  readonly "pool-max"?: number | undefined;
  readonly "pool-idle"?: string | undefined;
  readonly "max-memory"?: string | undefined;
  readonly "max-cpus"?: number | undefined;
  readonly "max-disk"?: string | undefined;
  readonly "max-pids": number;
  readonly "max-timeout"?: string | undefined;
  readonly "max-sources": string;
  readonly "max-images": string;
  readonly "max-caches": string;
  readonly "max-kept": number;
}

function maximaOf(flags: WorkerFlags): Maxima {
  const { "max-memory": memory, "max-cpus": cpus, "max-disk": disk } = flags;
  const { "max-pids": pids, "max-timeout": time } = flags;
  const [needy] = Object.entries({ memory, cpus, disk }).filter(([, most]) => most !== undefined);
  if (flags.executor === "process" && needy) {
    throw usageError(
      `--max-${needy[0]} needs containers`,
      "Plain processes (--executor process) cannot be held to it.",
    );
  }
  if (cpus !== undefined && !(cpus > 0)) throw usageError("--max-cpus must be more than 0");
  if (!Number.isInteger(pids) || pids < 1) throw usageError("--max-pids must be at least 1");
  const timeoutMs = time === undefined ? undefined : timeOf("max-timeout", time);
  return {
    pids,
    ...(memory !== undefined && { memoryBytes: sizeOf("max-memory", memory) }),
    ...(cpus !== undefined && { cpus }),
    ...(disk !== undefined && { diskBytes: sizeOf("max-disk", disk) }),
    ...(timeoutMs !== undefined && { timeoutMs }),
  };
}

export interface GraceFlags {
  readonly grace: string;
}

export function graceSettings({ grace }: GraceFlags): { readonly graceMs: number } {
  return { graceMs: grace === "0" ? 0 : timeOf("grace", grace) };
}

export function workerSettings(flags: WorkerFlags) {
  if (flags.slots === 0) throw usageError("--slots must be at least 1");
  const { "pool-max": poolMax, "pool-idle": poolIdle } = flags;
  if (poolMax !== undefined && !(Number.isInteger(poolMax) && poolMax >= 0)) {
    throw usageError("--pool-max must be a whole number; 0 keeps none ready");
  }
  return {
    executor: flags.executor ?? ("docker" as const),
    pull: flags.pull,
    maxima: maximaOf(flags),
    maxSourceBytes: sizeOf("max-sources", flags["max-sources"]),
    maxImageBytes: sizeOf("max-images", flags["max-images"]),
    maxCacheBytes: sizeOf("max-caches", flags["max-caches"]),
    maxKept: flags["max-kept"],
    ...(flags.slots !== undefined && { slots: flags.slots }),
    ...(poolMax !== undefined && { poolMax }),
    ...(poolIdle !== undefined && {
      poolIdleMs: poolIdle === "0" ? 0 : timeOf("pool-idle", poolIdle),
    }),
    ...(flags.docker !== undefined && { dockerHost: flags.docker }),
  };
}

/** "host:9009" is taken for what is meant. */
export function workerUrls(given: readonly string[] | undefined): string[] {
  return (given ?? []).map((url) => {
    const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(url) ? url : `http://${url}`;
    // A bare word is a mistake more often than a host: whoever means one names its port.
    const isBareWord = /^[^./:]+$/.test(url) && url !== "localhost";
    if (isBareWord || !URL.canParse(withScheme) || !/^https?:/.test(withScheme)) {
      throw usageError(`--worker ${url} is no URL`, "It looks like http://localhost:9009");
    }
    return withScheme.replace(/\/+$/, "");
  });
}

export function checkPort(flag: string, port: number): number {
  if (port > 65_535) throw usageError(`--${flag} ${port}: ports end at 65535`);
  return port;
}
