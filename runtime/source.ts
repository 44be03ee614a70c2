// Checks the code under test as a pipedef names it.

import type { Source } from "./api.js";

export function checkedSource(value: unknown): Source {
  if (typeof value !== "object" || value === null || !("kind" in value)) throw noSource(value);
  const { kind, path, url, ref, secret, tasks, over }: { [name: string]: unknown } = { ...value };
  if (kind === "none") return { kind };
  if (path !== undefined && !(typeof path === "string" && /^\/[^\0:]+$/.test(path))) {
    throw new TypeError(
      `source: path must be an absolute path inside the sandbox, not ${shown(path)}`,
    );
  }
  const placed = path === undefined ? {} : { path };
  if (kind === "workspace") return { kind, ...placed };
  if (kind === "artifacts") {
    const names: unknown[] = Array.isArray(tasks) ? tasks : [];
    const isName = (name: unknown) => typeof name === "string" && /^.+\..+$/.test(name);
    if (names.length === 0 || names.length > 100 || !names.every(isName))
      throw new TypeError(
        `artifacts: name tasks, such as "Build.compile", not ${Array.isArray(tasks) ? JSON.stringify(tasks) : shown(tasks)}`,
      );
    const texts = names.map(String);
    return { kind, tasks: texts, ...(over === "workspace" && { over }), ...placed };
  }
  if (kind !== "git") throw noSource(value);
  for (const [name, text] of [
    ["url", url],
    ["ref", ref],
  ]) {
    if (typeof text !== "string" || text === "" || text.startsWith("-") || text.includes("\0"))
      throw new TypeError(`git: ${name} must be a text, not ${shown(text)}`);
  }
  if (secret !== undefined && !(typeof secret === "string" && /^[A-Za-z_]\w*$/.test(secret)))
    throw new TypeError(`git: secret must be the name of a secret, not ${shown(secret)}`);
  return {
    kind,
    url: String(url),
    ref: String(ref),
    ...(secret !== undefined && { secret }),
    ...placed,
  };
}

function noSource(value: unknown): TypeError {
  return new TypeError(
    `source must be workspace(), git({ url, ref }), artifacts(task) or none, not ${shown(value)}`,
  );
}

function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 200)) : String(value);
}
