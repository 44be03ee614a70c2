// Checks what a pipedef hands to `run(...)`, at the call, so that the author sees the line.

import { patternProblem } from "../src/lib/file-pattern.js";
import { parseBytes, parseDurationMs } from "../src/lib/units.js";
import { checkedCaches } from "./cache.js";
import type { CallRequest } from "./host/host.js";
import { recipeOf } from "./image.js";
import { checkedServices } from "./services.js";
import { checkedSource } from "./source.js";
import { registration, taskContext } from "./task-context.js";

export interface CheckedCall extends CallRequest {
  readonly check: boolean;
}

const optionNames =
  "env, secrets, workdir, user, timeout, cpus, memory, disk, pids, network, source, results, artifacts, cache, services, check";

/** `(worker, image, command, options?)` or `(image, command, options?)`: three texts name a worker. */
export function commandRequest(given: readonly unknown[]): CheckedCall {
  const texts = typeof given[2] === "string" ? 3 : 2;
  const [worker, image, command] = texts === 3 ? given : [null, ...given];
  const options = given[texts] ?? {};
  if (given.length > texts + 1) {
    throw new TypeError(
      `run: takes (worker, image, command, options?), got ${given.length} arguments`,
    );
  }
  if (worker !== null && !(typeof worker === "string" && /^https?:\/\/./.test(worker))) {
    throw bad("worker", worker, 'must be a URL, such as "http://localhost:9009"');
  }
  const build = recipeOf(image);
  const name = build ? String(image) : image;
  if (typeof name !== "string" || !/^\S+$/.test(name) || name.includes("\0")) {
    const awaited = image instanceof Promise ? " (is there an await missing before image?)" : "";
    throw bad("image", image, `must be the name of an image, or what image(...) gave${awaited}`);
  }
  if (typeof command !== "string" || command.trim() === "" || command.includes("\0")) {
    throw bad("command", command, "must be a text that sh can run");
  }
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw bad("options", options, `must be an object with any of: ${optionNames}`);
  }
  const call = checkOptions(worker ?? null, name, command, Object.entries(options));
  return build ? { ...call, request: { ...call.request, build } } : call;
}

function checkOptions(
  worker: string | null,
  image: string,
  command: string,
  options: readonly (readonly [string, unknown])[],
): CheckedCall {
  const request: { -readonly [K in keyof CallRequest["request"]]: CallRequest["request"][K] } = {
    image,
    command,
  };
  let check = true;
  let source = registration()?.defaults.source;
  let services = taskContext.getStore()?.services ?? registration()?.defaults.services;
  for (const [name, value] of options) {
    if (value === undefined) continue;
    switch (name) {
      case "env":
        request.env = checkedEnv(value);
        break;
      case "secrets":
        request.secrets = checkedSecrets(value);
        break;
      case "workdir":
        if (typeof value !== "string" || !value.startsWith("/") || value.includes("\0")) {
          throw bad(name, value, "must be an absolute path inside the sandbox");
        }
        request.workdir = value;
        break;
      case "user":
        if (typeof value !== "string" || value === "" || value.includes("\0")) {
          throw bad(name, value, 'must be "name", "uid" or "uid:gid"');
        }
        request.user = value;
        break;
      case "timeout": {
        const ms =
          typeof value === "number" || typeof value === "string" ? parseDurationMs(value) : null;
        if (ms === null) throw bad(name, value, 'must be seconds, or a text such as "90s" or "5m"');
        request.timeoutMs = Math.max(1, Math.round(ms));
        break;
      }
      case "cpus":
        if (typeof value !== "number" || !Number.isFinite(value) || value <= 0) {
          throw bad(name, value, "must be a number above 0, such as 1.5");
        }
        request.cpus = value;
        break;
      case "memory":
        request.memoryBytes = checkedBytes(name, value);
        break;
      case "disk":
        request.diskBytes = checkedBytes(name, value);
        break;
      case "pids":
        if (typeof value !== "number" || !Number.isSafeInteger(value) || value <= 0) {
          throw bad(name, value, "must be a whole number above 0, such as 512");
        }
        request.pids = value;
        break;
      case "network":
        if (typeof value !== "boolean") throw bad(name, value, "must be true or false");
        request.network = value;
        break;
      case "source":
        source = checkedSource(value);
        break;
      case "results":
      case "artifacts":
        request[name] = checkedPatterns(name, value);
        break;
      case "cache":
        request.cache = checkedCaches(value);
        break;
      case "services":
        services = checkedServices("run", value);
        break;
      case "check":
        if (typeof value !== "boolean") throw bad(name, value, "must be true or false");
        check = value;
        break;
      default:
        throw new TypeError(`run: there is no option "${name}". There are: ${optionNames}`);
    }
  }
  const both = request.secrets?.find((name) => request.env?.[name] !== undefined);
  if (both !== undefined) throw bad("secrets", both, "must name nothing that env sets");
  if (source && source.kind !== "none") request.source = source;
  if (services && Object.keys(services).length > 0) request.services = services;
  return { worker, request, check };
}

function checkedBytes(option: string, value: unknown): number {
  const bytes = typeof value === "number" || typeof value === "string" ? parseBytes(value) : null;
  if (bytes !== null) return bytes;
  throw bad(option, value, 'must be bytes, or a text such as "512m" or "2g"');
}

function checkedSecrets(names: unknown): string[] {
  if (!Array.isArray(names)) throw bad("secrets", names, 'must be a list of names, ["NPM_TOKEN"]');
  return names.map((name: unknown) => {
    if (typeof name === "string" && /^[A-Za-z_]\w*$/.test(name)) return name;
    throw bad("secrets", name, "must hold names of variables");
  });
}

function checkedPatterns(option: string, given: unknown): string[] {
  const patterns: unknown[] = Array.isArray(given) ? given : [given];
  if (patterns.length > 100) throw bad(option, given, "must hold at most 100 patterns");
  return patterns.map((pattern) => {
    if (typeof pattern !== "string")
      throw bad(option, pattern, "must be a path or a pattern, or a list of them");
    const problem = patternProblem(pattern);
    if (problem !== null) throw bad(option, pattern, problem);
    return pattern;
  });
}

function checkedEnv(env: unknown): Record<string, string> {
  if (typeof env !== "object" || env === null || Array.isArray(env)) {
    throw bad("env", env, "must be an object of texts");
  }
  const checked: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (name === "" || /[=\0]/.test(name))
      throw bad("env", name, "has a name that no variable can have");
    if (typeof value !== "string" || value.includes("\0")) {
      throw bad(`env.${name}`, value, "must be a text");
    }
    checked[name] = value;
  }
  return checked;
}

function bad(name: string, value: unknown, rule: string): TypeError {
  return new TypeError(`run: ${name} ${rule}, not ${shown(value)}`);
}

function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 200));
  if (typeof value === "object" && value !== null)
    return Array.isArray(value) ? "a list" : "an object";
  return String(value);
}
