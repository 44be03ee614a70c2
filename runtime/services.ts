// Checks the services that a pipedef names, where it names them.

import { parseBytes, parseDurationMs } from "../src/lib/units.js";
import { isServiceName, mostServices, serviceNameRule } from "../src/model/service.js";
import type { AskedServices } from "../src/wire/service.js";
import { recipeOf } from "./image.js";

type Asked = AskedServices[string];

const optionNames = "image, command, env, secrets, user, cpus, memory, disk, pids, ready, timeout";

/** `what` they are of, for messages: "run", `stage "e2e"`. Throws a TypeError. */
export function checkedServices(what: string, given: unknown): AskedServices {
  if (!isObject(given)) {
    throw new TypeError(
      `${what}: services must be an object such as { db: { image: "postgres" } }, not ${shown(given)}`,
    );
  }
  const entries = Object.entries(given).filter(([, service]) => service !== undefined);
  if (entries.length > mostServices)
    throw new TypeError(`${what}: services must not be more than ${mostServices}`);
  return Object.fromEntries(
    entries.map(([name, service]) => {
      if (!isServiceName(name))
        throw new TypeError(`${what}: services: ${JSON.stringify(name)} ${serviceNameRule}`);
      return [name, checkedService(`${what}: services.${name}`, service)];
    }),
  );
}

function checkedService(what: string, given: unknown): Asked {
  const isImage = typeof given === "string" || recipeOf(given) !== undefined;
  const options: unknown = isImage ? { image: given } : given;
  if (!isObject(options)) {
    throw new TypeError(`${what} must be an object with an image, not ${shown(given)}`);
  }
  const bad = (name: string, value: unknown, rule: string) =>
    new TypeError(`${what}.${name} ${rule}, not ${shown(value)}`);
  const build = recipeOf(options.image);
  const image = build ? String(options.image) : options.image;
  if (typeof image !== "string" || !/^\S+$/.test(image) || image.includes("\0"))
    throw bad("image", image, "must be the name of an image, or what image(...) gave");
  const service: Asked = { image, ...(build && { build }) };
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || name === "image") continue;
    switch (name) {
      case "command":
        service.command = checkedCommand(value, bad);
        break;
      case "env":
        service.env = checkedEnv(value, bad);
        break;
      case "secrets":
        if (!Array.isArray(value) || !value.every(isVariable))
          throw bad(name, value, 'must be a list of names of variables, ["DB_PASSWORD"]');
        service.secrets = value;
        break;
      case "user":
        if (!isText(value)) throw bad(name, value, 'must be "name", "uid" or "uid:gid"');
        service.user = value;
        break;
      case "cpus":
        if (typeof value !== "number" || !(value >= 0.01 && value < Number.POSITIVE_INFINITY))
          throw bad(name, value, "must be a number above 0, such as 1.5");
        service.cpus = value;
        break;
      case "memory":
      case "disk": {
        const bytes =
          typeof value === "number" || typeof value === "string" ? parseBytes(value) : null;
        if (bytes === null) throw bad(name, value, 'must be bytes, or a text such as "512m"');
        service[name === "memory" ? "memoryBytes" : "diskBytes"] = bytes;
        break;
      }
      case "pids":
        if (typeof value !== "number" || !Number.isSafeInteger(value) || value <= 0)
          throw bad(name, value, "must be a whole number above 0, such as 512");
        service.pids = value;
        break;
      case "ready":
        service.ready = checkedReady(value, bad);
        break;
      case "timeout": {
        const ms =
          typeof value === "number" || typeof value === "string" ? parseDurationMs(value) : null;
        if (ms === null) throw bad(name, value, 'must be seconds, or a text such as "90s"');
        service.readyTimeoutMs = Math.max(1, Math.round(ms));
        break;
      }
      default:
        throw new TypeError(`${what}: there is no option "${name}". There are: ${optionNames}`);
    }
  }
  const both = service.secrets?.find((name) => service.env?.[name] !== undefined);
  if (both !== undefined) throw bad("secrets", both, "must name nothing that env sets");
  return service;
}

type Bad = (name: string, value: unknown, rule: string) => TypeError;

function checkedReady(value: unknown, bad: Bad): NonNullable<Asked["ready"]> {
  if (isText(value) && value.trim() !== "") return { command: value };
  const port: unknown =
    isObject(value) && Object.keys(value).join() === "port" ? value.port : value;
  if (typeof port === "number" && Number.isInteger(port) && port > 0 && port < 65536)
    return { port };
  throw bad("ready", value, "must be a command that succeeds when it is ready, or { port: 5432 }");
}

function checkedCommand(value: unknown, bad: Bad): string[] {
  const words: unknown = typeof value === "string" ? wordsOf(value) : value;
  if (!Array.isArray(words) || words.length === 0 || !words.every(isArgument)) {
    throw bad("command", value, 'must be a text, or a list of arguments such as ["redis-server"]');
  }
  return words;
}

/** As a shell would split it that knows quotes and backslashes, but no variables; null: a quote is not closed. */
export function wordsOf(text: string): string[] | null {
  const words: string[] = [];
  const parts = /\s+|'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|\\([\s\S])|([^\s'"\\]+)/gy;
  let word: string | null = null;
  let end = 0;
  for (const [whole, single, double, escaped, plain] of text.matchAll(parts)) {
    end += whole.length;
    const part = single ?? double?.replace(/\\(["\\$`])/g, "$1") ?? escaped ?? plain;
    if (part !== undefined) word = (word ?? "") + part;
    else if (word !== null) {
      words.push(word);
      word = null;
    }
  }
  if (end < text.length) return null;
  return word === null ? words : [...words, word];
}

function checkedEnv(env: unknown, bad: Bad): Record<string, string> {
  if (!isObject(env)) throw bad("env", env, "must be an object of texts");
  const checked: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (name === "" || /[=\0]/.test(name))
      throw bad("env", name, "has a name that no variable can have");
    if (!isArgument(value)) throw bad(`env.${name}`, value, "must be a text");
    checked[name] = value;
  }
  return checked;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isArgument(value: unknown): value is string {
  return typeof value === "string" && !value.includes("\0");
}

function isText(value: unknown): value is string {
  return isArgument(value) && value !== "";
}

function isVariable(value: unknown): value is string {
  return typeof value === "string" && /^[A-Za-z_]\w*$/.test(value);
}

function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 200));
  if (typeof value === "object" && value !== null)
    return Array.isArray(value) ? "a list" : "an object";
  return String(value);
}
