import { accessSync, constants, existsSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { formatBytes } from "../../lib/units.js";
import { type Finding, ok, warning, wrong } from "./check.js";

const tight = 5 * 2 ** 30;
const full = 512 * 2 ** 20;

export function diskFinding(name: string, folder: string, needsWrite = false): Finding {
  // A data folder is made at the first start; until then the one above it tells.
  let path = folder;
  while (!existsSync(path) && path !== dirname(path)) path = dirname(path);
  try {
    if (needsWrite) accessSync(path, constants.W_OK);
  } catch {
    return wrong(name, `${path} cannot be written by this user`, "Use another folder: --data DIR");
  }
  const { bavail, bsize } = statfsSync(path);
  const free = bavail * bsize;
  const detail = `${formatBytes(free)} free in ${folder}`;
  if (free < full)
    return wrong(name, detail, "Make room: docker system prune, or --data DIR on another disk");
  if (free < tight) return warning(name, detail, "It gets tight: docker system prune");
  return ok(name, detail);
}

/** Browsers in tests crash where it is small; containers get their own, processes get this one. */
export function sharedMemoryFinding(): Finding[] {
  if (!existsSync("/dev/shm")) return [];
  const { blocks, bsize } = statfsSync("/dev/shm");
  const size = blocks * bsize;
  if (size >= 64 * 2 ** 20) return [ok("/dev/shm", formatBytes(size))];
  return [
    warning(
      "/dev/shm",
      `only ${formatBytes(size)}`,
      "Browsers need more: mount -o remount,size=1g /dev/shm",
    ),
  ];
}
