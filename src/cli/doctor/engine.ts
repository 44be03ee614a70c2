// Is there a Docker engine, and can it run a container?

import { availableParallelism } from "node:os";
import type Docker from "dockerode";
import { within } from "../../lib/or-else.js";
import { createDockerExecutor } from "../../worker/executors/docker.js";
import { connect } from "../../worker/executors/docker-connect.js";
import { diskLimitProblem } from "../../worker/executors/docker-disk.js";
import { engineWords } from "../../worker/executors/docker-errors.js";
import type { Executor } from "../../worker/executors/executor.js";
import { type Finding, ok, warning, wrong } from "./check.js";
import { diskFinding } from "./disk.js";

const limitMs = 30_000;
const withoutDocker =
  "Start Docker or name its address with --docker; without one, commands run unisolated: --executor process";

const poolWords =
  `a worker keeps up to ${4 * availableParallelism()} containers ready (--pool-max): of the images, users, folders and ` +
  "limits that were asked for of late, for 5m (--pool-idle), and of what a run is about to need";

export async function examineEngine(dockerHost: string | undefined): Promise<Finding[]> {
  const address = dockerHost ?? process.env.DOCKER_HOST ?? "unix:///var/run/docker.sock";
  let connection: ReturnType<typeof connect>;
  try {
    connection = connect(dockerHost);
  } catch (error) {
    return [wrong("docker", `${address} is no address: ${engineWords(error)}`, withoutDocker)];
  }
  const { docker, agent } = connection;
  try {
    const [{ Version }, info] = await withLimit(Promise.all([docker.version(), docker.info()]));
    const found = [ok("docker", `${Version} at ${address}, ${info.NCPU} cores`)];
    found.push(await examineContainer(docker, dockerHost));
    const noDiskLimit = diskLimitProblem(info);
    found.push(ok("pool", poolWords));
    found.push(ok("disk limits", noDiskLimit ?? "--max-disk and `disk` can be used"));
    // Only of an engine on this machine can the folder be asked.
    if (address.startsWith("unix://")) found.push(...rootDisk(info.DockerRootDir));
    return found;
  } catch (error) {
    const denied = error instanceof Error && "code" in error && error.code === "EACCES";
    const hint = denied
      ? "This user may not talk to it: sudo usermod -aG docker $USER, then log in again"
      : withoutDocker;
    return [wrong("docker", `no engine answers at ${address} (${engineWords(error)})`, hint)];
  } finally {
    agent?.destroy();
  }
}

async function examineContainer(docker: Docker, dockerHost: string | undefined): Promise<Finding> {
  const images = await docker.listImages();
  const tagged = images
    .sort((a, b) => a.Size - b.Size)
    .flatMap((image) => image.RepoTags?.find((tag) => !tag.startsWith("<none>")) ?? []);
  if (tagged.length === 0) {
    return warning("container", "no image is here to try one with", "docker pull busybox");
  }
  const remarks: string[] = [];
  const log = (line: string) => void remarks.push(line);
  const executor = await createDockerExecutor({ dockerHost, pull: "never", log });
  try {
    // Not every image holds a shell; among the smallest three one will.
    const problems: string[] = [];
    for (const image of tagged.slice(0, 3)) {
      const started = performance.now();
      const problem = await runNothing(executor, image);
      if (problem === null && remarks.length > 0) {
        return warning("container", remarks.join("; "), "Such commands start slower, and as well");
      }
      if (problem === null) {
        return ok("container", `${image} ran in ${Math.round(performance.now() - started)} ms`);
      }
      problems.push(`${image}: ${problem}`);
    }
    return wrong(
      "container",
      problems.join("; "),
      `By hand: docker run --rm ${tagged[0]} sh -c true`,
    );
  } finally {
    await executor.close();
  }
}

/** Null where all is well. */
async function runNothing(executor: Executor, image: string): Promise<string | null> {
  try {
    const signal = AbortSignal.timeout(limitMs);
    const sandbox = await executor.open(
      { image, command: "exit 0" },
      { signal, progress: () => {} },
    );
    try {
      const { exitCode } = await sandbox.run(() => undefined);
      return exitCode === 0 ? null : `exit code ${exitCode}`;
    } finally {
      await sandbox.dispose();
    }
  } catch (error) {
    return engineWords(error);
  }
}

function rootDisk(root: unknown): Finding[] {
  return typeof root === "string" ? [diskFinding("docker disk", root)] : [];
}

async function withLimit<T>(work: Promise<T>): Promise<T> {
  return within(limitMs, work, () => {
    throw new Error(`no answer in ${limitMs / 1000} s`);
  });
}
