// Bounds what built images take. What counts is what they add to the images that they build upon; what was used
// least recently goes first, and never one that a container is made of: the engine itself refuses that.

import type Docker from "dockerode";
import * as z from "zod";
import { BuildOrigin, builtImages } from "../../wire/image-build.js";
import { answered, statusOf } from "./docker-errors.js";

/** What was used so short a time ago may be about to be used again. */
const recentMs = 10 * 60_000;
/** However small they are. */
const mostImages = 200;

/** On every built image. Containers and images made of it inherit it, so nothing is removed for that alone. */
export const buildLabel = "bettertest.build";

const BuildLabel = z.object({
  key: z.string(),
  /** The process of the worker that built it. */
  owner: z.string(),
  /** Id of the image that it builds upon. */
  base: z.string(),
  by: BuildOrigin.nullable(),
});

export function readBuildLabel(
  labels: Readonly<Record<string, string>> | null | undefined,
): z.infer<typeof BuildLabel> | null {
  try {
    return BuildLabel.parse(JSON.parse(labels?.[buildLabel] ?? "null"));
  } catch {
    return null;
  }
}

/** The engine says when a name was given last; the client's types do not know it. */
const Named = z.object({ Metadata: z.object({ LastTagTime: z.string().optional() }).optional() });

interface Built {
  /** All of one key: the image itself and what else its build has made. */
  readonly names: string[];
  usedAt: number;
  bytes: number;
}

export interface KeptImages {
  readonly maxBytes: number;
  /** However small they are; default: 200. */
  readonly most?: number;
  /** Under which they are named. */
  readonly repo?: string;
  readonly now?: number;
}

export async function removeUnusedImages(
  docker: Docker,
  { maxBytes, most = mostImages, repo = builtImages, now = Date.now() }: KeptImages,
): Promise<void> {
  const found = await answered(
    docker.listImages({ filters: JSON.stringify({ reference: [repo] }) }),
  );
  const all = new Map<string, Built>();
  for (const { RepoTags } of found) {
    for (const name of RepoTags ?? []) {
      const named = /^[^:]+:(?:part-)?([0-9a-f]{32})(?:-\d+-(0|[0-9a-f]{12}))?$/.exec(name);
      const [, key, partBase] = named ?? [];
      if (key === undefined) continue;
      const image = await inspected(docker, name);
      if (!image) continue;
      const base = partBase === "0" ? "" : (partBase ?? readBuildLabel(image.Config?.Labels)?.base);
      const below = base ? await inspected(docker, base) : null;
      const built = all.get(key) ?? { names: [], usedAt: 0, bytes: 0 };
      all.set(key, built);
      // The image itself first: while it is in use, its parts stay too.
      if (name.includes(":part-")) built.names.push(name);
      else built.names.unshift(name);
      built.bytes += Math.max(0, image.Size - (below?.Size ?? 0));
      const usedAt = Date.parse(Named.parse(image).Metadata?.LastTagTime ?? image.Created);
      built.usedAt = Math.max(built.usedAt, usedAt || 0);
    }
  }
  const oldest = [...all.values()].sort((a, b) => a.usedAt - b.usedAt);
  let bytes = oldest.reduce((sum, built) => sum + built.bytes, 0);
  let count = oldest.length;
  for (const built of oldest) {
    if (bytes <= maxBytes && count <= most) return;
    if (now - built.usedAt < recentMs) return;
    const isGone = await removeAll(docker, built.names);
    if (!isGone) continue;
    bytes -= built.bytes;
    count -= 1;
  }
}

async function removeAll(docker: Docker, names: readonly string[]): Promise<boolean> {
  for (const name of names) {
    try {
      await answered(docker.getImage(name).remove());
    } catch (error) {
      // In use.
      if (statusOf(error) === 409) return false;
      if (statusOf(error) !== 404) throw error;
    }
  }
  return true;
}

async function inspected(docker: Docker, image: string) {
  try {
    return await answered(docker.getImage(image).inspect());
  } catch (error) {
    if (statusOf(error) === 404) return null;
    throw error;
  }
}
