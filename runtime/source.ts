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
    const checked = names.flatMap((name) => leftBy(name) ?? []);
    if (names.length === 0 || names.length > 100 || checked.length < names.length)
      throw new TypeError(
        `artifacts: name tasks, such as "Build.compile", not ${Array.isArray(tasks) ? JSON.stringify(tasks) : shown(tasks)}`,
      );
    return { kind, tasks: checked, ...(over === "workspace" && { over }), ...placed };
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

/** "Stage.task", or files by the name that a build has given them. */
function leftBy(name: unknown): string | { readonly files: string } | null {
  if (typeof name === "string") return /^.+\..+$/.test(name) ? name : null;
  if (typeof name !== "object" || name === null || !("files" in name)) return null;
  const { files } = name;
  return typeof files === "string" && /^[0-9a-f]{64}$/.test(files) ? { files } : null;
}

function noSource(value: unknown): TypeError {
  const awaited = value instanceof Promise ? " (is there an await missing before build?)" : "";
  return new TypeError(
    `source must be workspace(), git({ url, ref }), artifacts(task), what build(...) gave, or none, not ${shown(value)}${awaited}`,
  );
}

function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 200)) : String(value);
}
