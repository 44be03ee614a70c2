// Images that are not here yet: fetched once, however many commands wait for them.

import { StringDecoder } from "node:string_decoder";
import type Docker from "dockerode";
import { credentialsFor, registryOf } from "./docker-credentials.js";
import { engineWords } from "./docker-errors.js";
import { ExecutorFault, type OpenOptions } from "./executor.js";

export type PullPolicy = "missing" | "always" | "never";

export interface Images {
  /** Resolves when the image is here. Those who ask for one that is being pulled share that pull. */
  pull(image: string, options: OpenOptions): Promise<void>;
}

interface Pull {
  readonly done: Promise<void>;
  readonly audience: Set<(text: string) => void>;
  readonly abort: AbortController;
}

export function createImages(docker: Docker, policy: PullPolicy): Images {
  const pulls = new Map<string, Pull>();

  function startPull(image: string): Pull {
    const audience = new Set<(text: string) => void>();
    const abort = new AbortController();
    const tell = (text: string) => {
      for (const progress of audience) progress(text);
    };
    const done = pullImage(docker, image, tell, abort.signal).finally(() => forget(image, pull));
    done.catch(() => {});
    const pull: Pull = { done, audience, abort };
    pulls.set(image, pull);
    return pull;
  }

  function forget(image: string, pull: Pull) {
    if (pulls.get(image) === pull) pulls.delete(image);
  }

  return {
    async pull(image, { signal, progress }) {
      if (policy === "never") {
        throw new ExecutorFault(`image "${image}" is not on this worker, and --pull is never`, {
          hint: hintFor(image),
        });
      }
      signal.throwIfAborted();
      const pull = pulls.get(image) ?? startPull(image);
      pull.audience.add(progress);
      progress(`Pulling image ${image}\n`);
      try {
        await Promise.race([pull.done, aborted(signal)]);
      } finally {
        pull.audience.delete(progress);
        if (pull.audience.size === 0) {
          // Whoever asks next begins anew.
          forget(image, pull);
          pull.abort.abort();
        }
      }
    },
  };
}

async function pullImage(
  docker: Docker,
  image: string,
  tell: (text: string) => void,
  signal: AbortSignal,
) {
  try {
    const authconfig = await credentialsFor(image);
    const stream = await docker.pull(withTag(image), {
      abortSignal: signal,
      ...(authconfig && { authconfig }),
    });
    const decoder = new StringDecoder("utf8");
    let unfinished = "";
    const statusOfLayer = new Map<string, string>();
    for await (const chunk of stream) {
      const lines = (unfinished + decoder.write(Buffer.from(chunk))).split("\n");
      unfinished = lines.pop()!;
      for (const line of lines) {
        const { id = "", status = "", error } = readProgress(line);
        if (error) throw new Error(error);
        // The engine reports each layer many times a second; a log wants each state once.
        if (!status || statusOfLayer.get(id) === status) continue;
        statusOfLayer.set(id, status);
        tell(id ? `${id}: ${status}\n` : `${status}\n`);
      }
    }
  } catch (error) {
    throw new ExecutorFault(`image "${image}" could not be pulled: ${engineWords(error)}`, {
      hint: hintFor(image),
    });
  }
}

function readProgress(line: string): { id?: string; status?: string; error?: string } {
  try {
    return JSON.parse(line);
  } catch {
    return {};
  }
}

/** Without a tag the engine's API would fetch every tag there is. */
function withTag(image: string): string {
  const name = image.slice(image.lastIndexOf("/") + 1);
  return name.includes(":") || name.includes("@") ? image : `${image}:latest`;
}

function hintFor(image: string): string {
  const registry = registryOf(image);
  const login = registry.startsWith("https:")
    ? ""
    : `; if it needs a login: docker login ${registry}`;
  return `Build it on the worker's machine with: docker build -t ${image} . (with -f where the Dockerfile lies elsewhere), or check the name${login}`;
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
