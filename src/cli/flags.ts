// Flags that several commands share, with the same words in each.

import type { Flags } from "./command.js";

const server = "Server:";
const pipedefs = "Pipedef:";
const tasks = "Where tasks run:";

export const jsonFlag = {
  json: { type: "boolean", default: false, describe: "Print JSON, for programs" },
} as const satisfies Flags;

/** What runs, and whose output is shown. */
export const selectionFlags = {
  only: {
    type: "string",
    array: true,
    requiresArg: true,
    describe: "Run just this Stage or Stage.task (may be given again)",
  },
  "keep-going": {
    type: "boolean",
    default: false,
    describe: "Run later stages also after a red one",
  },
  output: {
    choices: ["all", "failed", "none"],
    describe: "Whose output to print (default: failed; with --json: none)",
  },
} as const satisfies Flags;

export const serverFlags = {
  host: {
    type: "string",
    requiresArg: true,
    group: server,
    describe: "Address to listen on (default: this machine only)",
  },
  port: { type: "number", requiresArg: true, group: server, describe: "Port to listen on" },
  "allow-host": {
    type: "string",
    array: true,
    requiresArg: true,
    group: server,
    describe: "Name of a proxy that passes requests on to loopback",
  },
  "log-format": {
    choices: ["text", "json"],
    default: "text",
    group: server,
    describe: "Of the log, on standard error; json: one object a line",
  },
  "trust-proxy": {
    type: "string",
    array: true,
    requiresArg: true,
    group: server,
    describe: "Address of a proxy whose X-Forwarded-* headers count",
  },
  "token-file": {
    type: "string",
    requiresArg: true,
    group: server,
    describe: "The token that requests must show (default: in the data folder)",
  },
  "tls-cert": {
    type: "string",
    requiresArg: true,
    group: server,
    describe: "Certificate, to serve HTTPS",
  },
  "tls-key": { type: "string", requiresArg: true, group: server, describe: "Its key" },
} as const satisfies Flags;

export const secretsFlag = {
  "secrets-file": {
    type: "string",
    requiresArg: true,
    group: tasks,
    describe: "NAME=VALUE lines for tasks that name them; masked in all output",
  },
} as const satisfies Flags;

export const maxOutputFlag = {
  "max-output": {
    type: "string",
    requiresArg: true,
    default: "100m",
    describe: "Most output of a task; of more, the beginning and the end are kept",
  },
} as const satisfies Flags;

export const maxArtifactsFlag = {
  "max-artifacts": {
    type: "string",
    requiresArg: true,
    default: "1g",
    describe: "Most files to keep of a command; what does not fit is left out",
  },
} as const satisfies Flags;

export const keepFailedFlag = {
  "keep-failed": {
    type: "string",
    requiresArg: true,
    group: tasks,
    describe:
      "Keep the containers of red commands for so long (30m), to enter them: bettertest shell",
  },
} as const satisfies Flags;

/** Of one task there may be several. */
export const whichSandboxFlags = {
  attempt: {
    type: "number",
    requiresArg: true,
    describe: "Of this attempt (default: the last one kept)",
  },
  call: {
    type: "number",
    requiresArg: true,
    describe: "Of this command of the task (default: the last one kept)",
  },
} as const satisfies Flags;

export const retentionFlags = {
  "keep-runs": {
    type: "number",
    requiresArg: true,
    default: 1000,
    group: server,
    describe: "Runs to keep; the oldest go first",
  },
  "keep-days": {
    type: "number",
    requiresArg: true,
    group: server,
    describe: "Days to keep runs (default: for ever)",
  },
  "max-data": {
    type: "string",
    requiresArg: true,
    default: "20g",
    group: server,
    describe: "Most space for the output of all runs",
  },
} as const satisfies Flags;

export const graceFlag = {
  grace: {
    type: "string",
    requiresArg: true,
    default: "30s",
    describe: "When told to stop: how long what runs may take to finish",
  },
} as const satisfies Flags;

export const dataFlag = {
  data: { type: "string", requiresArg: true, describe: "Folder for outputs and history" },
} as const satisfies Flags;

export const whoseTokenFlags = {
  worker: { type: "boolean", default: false, describe: "Of a worker, not of a boss" },
  port: {
    type: "number",
    requiresArg: true,
    describe: "Of the boss or worker on this port (default: 9001, 9009)",
  },
  ...dataFlag,
  "token-file": {
    type: "string",
    requiresArg: true,
    describe: "The file with its token, where it has its own",
  },
} as const satisfies Flags;

export const pipedefFlags = {
  pipedef: {
    type: "string",
    array: true,
    requiresArg: true,
    group: pipedefs,
    describe: "A pipedef, or a folder of them (may be given again)",
  },
  ...hostFlags(),
} as const satisfies Flags;

/** How a pipedef's code is run. */
export function hostFlags() {
  return {
    "pipedef-host": {
      choices: ["thread", "process"],
      default: "thread",
      group: pipedefs,
      describe: "Where its code runs: process also contains malice",
    },
    "allow-env": {
      type: "string",
      array: true,
      requiresArg: true,
      group: pipedefs,
      describe: "Let it see this environment variable (may be given again)",
    },
    "pipedef-memory": {
      type: "string",
      requiresArg: true,
      default: "512m",
      group: pipedefs,
      describe: "Most memory its code may use",
    },
  } as const satisfies Flags;
}

export const engineFlags = {
  worker: {
    type: "string",
    array: true,
    requiresArg: true,
    group: tasks,
    describe: "URL of a worker to use (may be given again)",
  },
  "worker-token-file": {
    type: "string",
    requiresArg: true,
    group: tasks,
    describe: "Tokens of workers: lines of URL TOKEN, or one token for all",
  },
  ...tlsCaFlag(tasks),
  "worker-lease": {
    type: "string",
    requiresArg: true,
    default: "60s",
    group: tasks,
    describe: "How long a lost worker keeps what it runs; it is waited for ten times that",
  },
  "infra-retries": {
    type: "number",
    requiresArg: true,
    default: 2,
    group: tasks,
    describe: "How often a task is tried again whose worker was lost",
  },
  otlp: {
    type: "string",
    requiresArg: true,
    describe: "Send traces of runs to this OpenTelemetry receiver (OTLP/HTTP)",
  },
} as const satisfies Flags;

export const workerFlags = {
  executor: {
    choices: ["docker", "process"],
    group: tasks,
    describe: "Fresh containers, or plain processes with no isolation",
  },
  slots: {
    type: "number",
    requiresArg: true,
    group: tasks,
    describe: "Commands at the same time (default: the number of cores)",
  },
  "pool-max": {
    type: "number",
    requiresArg: true,
    group: tasks,
    describe: "Containers kept ready before they are asked for (default: 4 for each slot; 0: none)",
  },
  "pool-idle": {
    type: "string",
    requiresArg: true,
    group: tasks,
    describe: "How long they are kept when nothing asks for them (default: 5m; run: 0)",
  },
  pull: {
    choices: ["missing", "always", "never"],
    default: "missing",
    group: tasks,
    describe: "When to pull images",
  },
  "max-memory": {
    type: "string",
    requiresArg: true,
    group: tasks,
    describe: "Most memory of a command (default: what it asks for)",
  },
  "max-cpus": {
    type: "number",
    fraction: true,
    requiresArg: true,
    group: tasks,
    describe: "Most cores of a command (default: what it asks for)",
  },
  "max-disk": {
    type: "string",
    requiresArg: true,
    group: tasks,
    describe: "Most that a command may write, where the engine can limit it",
  },
  "max-pids": {
    type: "number",
    requiresArg: true,
    default: 4096,
    group: tasks,
    describe: "Most processes and threads of a command",
  },
  "max-timeout": {
    type: "string",
    requiresArg: true,
    group: tasks,
    describe: "Most time of a command (default: what it asks for)",
  },
  "max-sources": {
    type: "string",
    requiresArg: true,
    default: "20g",
    group: tasks,
    describe: "Disk for the sources that commands start in; the least used go first",
  },
  "max-images": {
    type: "string",
    requiresArg: true,
    default: "20g",
    group: tasks,
    describe: "Disk for images that image(...) has built; the least used go first",
  },
  "max-caches": {
    type: "string",
    requiresArg: true,
    default: "10g",
    group: tasks,
    describe:
      "Disk for folders that commands cache and files that were built; the least used go first",
  },
  "max-kept": {
    type: "number",
    requiresArg: true,
    default: 8,
    group: tasks,
    describe: "Most containers of red commands to keep (--keep-failed); the oldest go first",
  },
  docker: {
    type: "string",
    requiresArg: true,
    group: tasks,
    describe: "The Docker engine (default: DOCKER_HOST, or the local socket)",
  },
} as const satisfies Flags;

export const bossUrlFlag = {
  boss: {
    type: "string",
    requiresArg: true,
    describe: "URL of the boss (default: http://localhost:9001)",
  },
} as const satisfies Flags;

function tlsCaFlag(group?: string) {
  return {
    "tls-ca": {
      type: "string",
      requiresArg: true,
      ...(group !== undefined && { group }),
      describe: "Certificates to trust besides the usual ones",
    },
  } as const satisfies Flags;
}

/** For commands that ask a boss. */
export const bossAccessFlags = {
  ...bossUrlFlag,
  "token-file": {
    type: "string",
    requiresArg: true,
    describe: "File with the boss's token (default: that of a boss on this machine)",
  },
  ...tlsCaFlag(),
} as const satisfies Flags;

const atBoss = "At a boss:";

/** Of a command that runs tasks itself, unless a boss is to. */
export const runAtBossFlags = {
  boss: {
    type: "string",
    requiresArg: true,
    group: atBoss,
    describe: "Not here, but by the boss at this URL",
  },
  "token-file": { ...bossAccessFlags["token-file"], group: atBoss },
} as const satisfies Flags;

export const concurrentRunsFlag = {
  "concurrent-runs": {
    type: "number",
    requiresArg: true,
    default: 4,
    describe: "Runs at the same time; more wait in order",
  },
  "max-queued-runs": {
    type: "number",
    requiresArg: true,
    default: 1000,
    describe: "Most runs that wait; further ones are refused",
  },
} as const satisfies Flags;

/** Of a command that runs tasks itself, with a worker of its own unless one is named. */
export const runHereFlags = {
  ...selectionFlags,
  ...jsonFlag,
  ...maxOutputFlag,
  ...maxArtifactsFlag,
  ...dataFlag,
  ...engineFlags,
  ...secretsFlag,
  ...workerFlags,
  ...hostFlags(),
} as const satisfies Flags;
