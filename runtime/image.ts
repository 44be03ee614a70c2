// Checks what a pipedef hands to `image(...)`, at the call, and remembers how each image that it got is made.

import { posix } from "node:path";
import { parseDurationMs } from "../src/lib/units.js";
import { builtImages } from "../src/model/image-build.js";
import type { AskedBuild } from "../src/wire/image-build.js";
import type { BuiltImage } from "./api.js";
import type { CallRequest } from "./host/host.js";
import { checkedSource } from "./source.js";
import { registration } from "./task-context.js";

const optionNames = "context, dockerfile, target, args, source, worker, timeout";

/** So that a command that is given one can be sent to a worker that has to build it first. */
const recipes = new WeakMap<object, AskedBuild>();

export function recipeOf(image: unknown): AskedBuild | undefined {
  return typeof image === "object" && image !== null ? recipes.get(image) : undefined;
}

export function builtImage(
  { name, cached }: { readonly name: string; readonly cached: boolean },
  { only: _, ...recipe }: AskedBuild,
): BuiltImage {
  const image = Object.freeze({ name, cached, toString: () => name });
  recipes.set(image, recipe);
  return image;
}

export function buildRequest(
  given: readonly unknown[],
): CallRequest & { readonly build: AskedBuild } {
  const [options = {}, ...more] = given;
  if (typeof options !== "object" || options === null || Array.isArray(options) || more.length > 0)
    throw new TypeError(`image: takes one object with any of: ${optionNames}`);
  const asked: { [name: string]: unknown } = { ...options };
  for (const name of Object.keys(asked)) {
    if (optionNames.split(", ").includes(name)) continue;
    const why = /secret/i.test(name)
      ? ": what a build is given can be read in the image. Give secrets to run(...)"
      : "";
    throw new TypeError(`image: there is no option "${name}"${why}. There are: ${optionNames}`);
  }
  const { target, args, worker = null, timeout } = asked;
  if (target !== undefined && (typeof target !== "string" || !/^[^\s\0]+$/.test(target)))
    throw bad("target", target, "must be the name of a stage of the Dockerfile");
  if (worker !== null && !(typeof worker === "string" && /^https?:\/\/./.test(worker)))
    throw bad("worker", worker, 'must be a URL, such as "http://localhost:9009"');
  const timeoutMs =
    typeof timeout === "number" || typeof timeout === "string" ? parseDurationMs(timeout) : null;
  if (timeout !== undefined && timeoutMs === null)
    throw bad("timeout", timeout, 'must be seconds, or a text such as "90s" or "5m"');
  const context = pathInSource("context", asked.context ?? ".");
  const build: AskedBuild = {
    context,
    dockerfile: pathInSource("dockerfile", asked.dockerfile ?? posix.join(context, "Dockerfile")),
    ...(target !== undefined && { target }),
    ...(args !== undefined && { args: checkedArgs(args) }),
    source: buildSource(asked.source),
    only: true,
  };
  const request = {
    image: builtImages,
    command: commandOf(build),
    build,
    ...(timeoutMs !== null && { timeoutMs: Math.max(1, Math.round(timeoutMs)) }),
  };
  return { worker, request, build };
}

function buildSource(given: unknown): AskedBuild["source"] {
  const source = given === undefined ? registration()?.defaults.source : checkedSource(given);
  // What a build reads has to come from somewhere; and where it would lie in a sandbox is of no matter to it.
  if (!source || (source.kind === "none" && given === undefined)) return { kind: "workspace" };
  if (source.kind === "none")
    throw bad("source", "none", "must be workspace() or git({ url, ref })");
  const { path: _, ...pathless } = source;
  return pathless;
}

function pathInSource(option: string, path: unknown): string {
  if (typeof path !== "string" || path === "" || path.includes("\0") || path.startsWith("/"))
    throw bad(option, path, "must be a path from the root of the source");
  const clean = posix.normalize(path).replace(/(.)\/$/, "$1");
  if (clean.split("/").includes("..")) throw bad(option, path, "must stay in the source");
  return clean;
}

function checkedArgs(args: unknown): Record<string, string> {
  if (typeof args !== "object" || args === null || Array.isArray(args))
    throw bad("args", args, "must be an object of texts");
  const checked: Record<string, string> = {};
  for (const [name, value] of Object.entries(args)) {
    if (!/^\w+$/.test(name)) throw bad("args", name, "has a name that no build argument can have");
    if (typeof value !== "string" || value.includes("\0"))
      throw bad(`args.${name}`, value, "must be a text");
    checked[name] = value;
  }
  return checked;
}

/** As one would type it in the root of the source. Arguments by name alone: they may be long. */
function commandOf({ context, dockerfile, target, args = {} }: AskedBuild): string {
  const words = ["docker", "build"];
  if (dockerfile !== posix.join(context, "Dockerfile")) words.push("-f", dockerfile);
  if (target !== undefined) words.push("--target", target);
  for (const name of Object.keys(args)) words.push("--build-arg", name);
  return [...words, context].join(" ");
}

function bad(name: string, value: unknown, rule: string): TypeError {
  const shown =
    typeof value === "string"
      ? JSON.stringify(value.slice(0, 200))
      : Array.isArray(value)
        ? "a list"
        : typeof value === "object" && value !== null
          ? "an object"
          : String(value);
  return new TypeError(`image: ${name} ${rule}, not ${shown}`);
}
