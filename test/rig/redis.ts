// A real database as an image, and what an engine holds of one worker.

import { execFileSync, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { noDocker } from "./docker.js";

export const redisImage = "bettertest-redis";

/** False, or why not: to be given to a test's `skip`. */
export function noRedis(): false | string {
  const problem = noDocker();
  if (problem !== false) return problem;
  const script = new URL("../../../scripts/redis-image.mjs", import.meta.url);
  const made = execFileSync(process.execPath, [fileURLToPath(script)], { encoding: "utf8" });
  return made.trim() === "" ? "there is no Redis here: install redis-tools" : false;
}

const isOwnedBy = (pid: number) => (line: string) => line.split("_").at(-2) === String(pid);

/** Of services that the worker in that process has made, which are running or left. */
export function servicesOf(pid: number): string[] {
  const filters = ["--filter", "label=bettertest.service"];
  const format = '{{.ID}} {{.Label "bettertest.owner"}}';
  return lines(["ps", "-a", ...filters, "--format", format])
    .filter(isOwnedBy(pid))
    .map((line) => line.slice(0, 12));
}

export function networksOf(pid: number): string[] {
  const format = '{{.ID}} {{.Label "bettertest.owner"}}';
  return lines(["network", "ls", "--format", format])
    .filter(isOwnedBy(pid))
    .map((line) => line.slice(0, 12));
}

/** That were made for these containers. */
export function volumesOf(containers: readonly string[]): string[] {
  const format = "{{range .Mounts}}{{.Name}}\n{{end}}";
  return containers.flatMap((id) => lines(["inspect", "--format", format, id]));
}

export function isVolumeLeft(name: string): boolean {
  return spawnSync("docker", ["volume", "inspect", name], { stdio: "ignore" }).status === 0;
}

function lines(args: readonly string[]): string[] {
  const { stdout } = spawnSync("docker", args, { encoding: "utf8" });
  return stdout.split("\n").filter((line) => line.trim() !== "");
}
