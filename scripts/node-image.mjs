// This machine's own Node on top of the shell and tools of the base image: what a project that is tested in a
// container needs, where no `node:22` can be pulled.
import { spawnSync } from "node:child_process";
import { realpathSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { importPrograms } from "./base-image.mjs";
import { findProgram } from "./setup.mjs";

/** By its version, so that an image made before an upgrade is not taken for this one. */
export const nodeImage = `bettertest-node:${process.versions.node}`;

/** @returns {string} the image's name. Throws with the reason where it cannot be made. */
export function ensureNodeImage({ name = nodeImage } = {}) {
  if (spawnSync("docker", ["image", "inspect", name]).status === 0) return name;
  const programs = { node: realpathSync(process.execPath) };
  for (const tool of ["sh", "cat", "ls", "sleep"]) {
    const path = findProgram(tool);
    programs[tool] = path ? realpathSync(path) : null;
  }
  return importPrograms(name, programs, ['CMD ["node"]']);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  console.log(ensureNodeImage());
}
