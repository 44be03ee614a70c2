// Which other repos a commit holds: its entries of that kind name a commit each, and its .gitmodules says from where.

import { git, withoutPassword } from "./git-program.js";

export interface Submodule {
  /** In the repo. */
  readonly path: string;
  readonly commit: string;
  /** Null where .gitmodules names none. */
  readonly url: string | null;
}

/** Of a commit that was read into the index which `env` names, without those that its repo says never to update. */
export async function submodulesOf(
  mirror: string,
  { commit, url, env }: { commit: string; url: string; env: Readonly<Record<string, string>> },
): Promise<Submodule[]> {
  const listing = await git(["--git-dir", mirror, "ls-files", "--stage", "-z"], env);
  const links = [...listing.matchAll(/(?<=^|\0)160000 ([0-9a-f]{40,64}) 0\t([^\0]+)/g)];
  if (links.length === 0) return [];
  const modules = await readModules(mirror, commit, env);
  return links.flatMap(([, recorded = "", path = ""]) => {
    const found = modules.find((one) => one.get("path")?.replace(/\/+$/, "") === path);
    if (found?.get("update") === "none") return [];
    const said = found?.get("url");
    return { path, commit: recorded, url: said === undefined ? null : submoduleUrl(url, said) };
  });
}

/** Each submodule's settings. */
async function readModules(
  mirror: string,
  commit: string,
  env: Readonly<Record<string, string>>,
): Promise<ReadonlyMap<string, string>[]> {
  const blob = `${commit}:.gitmodules`;
  const exists = await git(["--git-dir", mirror, "cat-file", "-e", blob], env).then(
    () => true,
    () => false,
  );
  if (!exists) return [];
  const text = await git(["--git-dir", mirror, "config", "--blob", blob, "--list", "-z"], env);
  const modules = new Map<string, Map<string, string>>();
  for (const [, name = "", setting = "", value = ""] of text.matchAll(
    /(?<=^|\0)submodule\.([^\n\0]*)\.([^.\n\0]*)\n([^\0]*)/g,
  )) {
    const settings = modules.get(name) ?? new Map<string, string>();
    modules.set(name, settings.set(setting, value));
  }
  return [...modules.values()];
}

/** What begins with `./` or `../` is seen from the URL of the repo that holds it, as git sees it. */
export function submoduleUrl(parent: string, said: string): string {
  if (!/^\.\.?\//.test(said)) return said;
  let base = parent.replace(/\/$/, "");
  let rest = said;
  let separator = "/";
  for (;;) {
    if (rest.startsWith("./")) rest = rest.slice(2);
    else if (rest.startsWith("../")) {
      rest = rest.slice(3);
      const slash = base.lastIndexOf("/");
      // "host:path" of ssh
      const end = slash >= 0 ? slash : base.lastIndexOf(":");
      if (end < 0) throw new Error(`${said} leads out of ${withoutPassword(parent)}`);
      if (slash < 0) separator = ":";
      base = base.slice(0, end);
    } else return `${base}${separator}${rest}`.replace(/\/$/, "");
  }
}
