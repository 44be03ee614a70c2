// Overlay mounts. Node has no mount of its own, so the system's program does it; paths are given relative to one
// folder, since all of them together must fit into a page.

import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface OverlayMount {
  /** Read-only, the upmost first. */
  readonly lower: readonly string[];
  readonly upper: string;
  readonly work: string;
  readonly target: string;
  /** Lower ones may hold files without their contents, which are below them. */
  readonly metacopy?: boolean;
}

/** Paths are relative to `folder`. */
export async function mountOverlay(folder: string, mount: OverlayMount): Promise<void> {
  const { lower, upper, work, target, metacopy = false } = mount;
  // Volatile: nobody wants a private layer back after a crash, so nothing of it need reach the disk.
  const more = metacopy ? "volatile,metacopy=on" : "volatile";
  const options = `lowerdir=${lower.join(":")},upperdir=${upper},workdir=${work},${more}`;
  await run("mount", ["-i", "-t", "overlay", "overlay", "-o", options, target], { cwd: folder });
}

/** Also where somebody is still in it: then it goes with the last who is. */
export async function unmount(folder: string, target: string): Promise<void> {
  await run("umount", ["-i", "-l", target], { cwd: folder });
}

/** What is mounted over a folder from now on, its containers see too, also those that were made before. */
export async function share(folder: string): Promise<void> {
  await run("mount", ["-i", "--bind", folder, folder]);
  await run("mount", ["-i", "--make-private", folder]);
  await run("mount", ["-i", "--make-shared", folder]);
}

/** Everything mounted at or below a folder, the last one first. */
export async function mountsBelow(folder: string): Promise<string[]> {
  const table = await readFile("/proc/self/mountinfo", "utf8").catch(() => "");
  return table
    .split("\n")
    .flatMap((line) => line.split(" ")[4] ?? [])
    .map((path) =>
      path.replace(/\\([0-7]{3})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 8))),
    )
    .filter((path) => path === folder || path.startsWith(`${folder}/`))
    .reverse();
}

/** Left by a worker that was killed, or by us. */
export async function unmountAll(folder: string): Promise<void> {
  for (const path of await mountsBelow(folder)) await unmount("/", path).catch(() => {});
}

/** Null: overlays can be mounted here; else why not. Tried, since kernels, users and file systems differ. */
export async function overlayProblem(folder: string): Promise<string | null> {
  if (process.getuid?.() !== 0) return "the worker does not run as root";
  const probe = join(folder, "probe");
  try {
    for (const name of ["lower", "upper", "work", "target"])
      await mkdir(join(probe, name), { recursive: true });
    await writeFile(join(probe, "lower/file"), "seen");
    await mountOverlay(probe, { lower: ["lower"], upper: "upper", work: "work", target: "target" });
    const seen = await readFile(join(probe, "target/file"), "utf8");
    return seen === "seen" ? null : "an overlay does not show what is below it";
  } catch (error) {
    return error instanceof Error ? error.message.trim().split("\n").at(-1)! : String(error);
  } finally {
    await unmountAll(probe);
    await rm(probe, { recursive: true, force: true });
  }
}
