// A real database for the tests of services, out of Debian's redis-tools: its one program is the server too,
// when it is called by that name.
import { spawnSync } from "node:child_process";
import { realpathSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { importPrograms } from "./base-image.mjs";
import { findProgram } from "./setup.mjs";

export const redisImage = "bettertest-redis";

/** @returns {string | null} the image's name; null where this machine has no Redis. */
export function ensureRedisImage({ name = redisImage } = {}) {
  if (spawnSync("docker", ["image", "inspect", name]).status === 0) return name;
  const server = findProgram("redis-check-rdb");
  if (server === null) return null;
  const programs = { "redis-server": server };
  for (const tool of ["redis-cli", "sh", "bash", "sleep", "cat"])
    programs[tool] = findProgram(tool);
  const real = Object.entries(programs).map(([tool, path]) => [tool, path && realpathSync(path)]);
  return importPrograms(name, Object.fromEntries(real), [
    'CMD ["redis-server", "--save", "", "--protected-mode", "no", "--dir", "/tmp"]',
    // As the image of a real database has one, whose files would be left behind.
    "VOLUME /data",
  ]);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  console.log(ensureRedisImage() ?? "");
}
