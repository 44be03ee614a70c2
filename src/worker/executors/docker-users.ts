// As whom a container's command runs, by number: its files in the source are to be that user's.

import { posix } from "node:path";
import type Docker from "dockerode";
import { readTar } from "../../lib/tar.js";
import type { Owner } from "../sources/owned-layers.js";
import { answered, engineWords, statusOf } from "./docker-errors.js";
import { ExecutorFault } from "./executor.js";

/** Images with more users are not known. */
const mostBytes = 4 * 2 ** 20;

export class DockerUsers {
  readonly #known = new Map<string, Promise<Owner | null>>();

  /** Null: root. Asked of the engine once for each version of an image and user. */
  of(
    container: Docker.Container,
    { version, user = "" }: { readonly version: string; readonly user: string | undefined },
  ): Promise<Owner | null> {
    const key = `${version} ${user}`;
    let finding = this.#known.get(key);
    if (!finding) {
      finding = find(container);
      this.#known.set(key, finding);
      finding.catch(() => this.#known.delete(key));
    }
    return finding;
  }
}

async function find(container: Docker.Container): Promise<Owner | null> {
  try {
    const { Config } = await answered(container.inspect());
    const [user = "", group] = Config.User.split(":");
    if (["", "0", "root"].includes(user)) return null;
    const owner = ownerIn(await textOf(container, "/etc/passwd"), user);
    if (!owner || owner.uid === 0) return null;
    if (group === undefined || group === "") return owner;
    if (isNumber(group)) return { ...owner, gid: Number(group) };
    const gid = rowsOf(await textOf(container, "/etc/group")).find(([name]) => name === group)?.[2];
    return gid === undefined ? owner : { ...owner, gid: Number(gid) };
  } catch (error) {
    throw new ExecutorFault(
      `could not find out the user of container ${container.id.slice(0, 12)}: ${engineWords(error)}`,
      { lost: statusOf(error) === null },
    );
  }
}

/** As engines see it: a name counts before a number; the group of a number that nobody has is root's. */
export function ownerIn(passwd: string, user: string): Owner | null {
  const rows = rowsOf(passwd);
  const row = rows.find(([name]) => name === user) ?? rows.find(([, , uid]) => uid === user);
  if (row && isNumber(row[2]) && isNumber(row[3])) {
    return { uid: Number(row[2]), gid: Number(row[3]) };
  }
  // A name that is not there is refused by the engine, in better words than ours.
  return isNumber(user) ? { uid: Number(user), gid: 0 } : null;
}

function rowsOf(text: string): string[][] {
  return text.split("\n").map((line) => line.trim().split(":"));
}

function isNumber(text: string | undefined): boolean {
  return /^\d{1,10}$/.test(text ?? "");
}

/** Empty where it is not there. Links are followed, as far as anybody makes them. */
async function textOf(container: Docker.Container, path: string, links = 8): Promise<string> {
  let archive: AsyncIterable<Uint8Array>;
  try {
    archive = (await answered(container.getArchive({ path }))) as NodeJS.ReadableStream &
      AsyncIterable<Uint8Array>;
  } catch (error) {
    if (statusOf(error) === 404) return "";
    throw error;
  }
  const parts: Uint8Array[] = [];
  let bytes = 0;
  let target: string | null = null;
  for await (const entry of readTar(archive)) {
    target = entry.target ?? null;
    if (entry.kind !== "file") continue;
    for await (const part of entry.content()) {
      bytes += part.length;
      if (bytes <= mostBytes) parts.push(part);
    }
  }
  if (target === null || links === 0) return Buffer.concat(parts).toString();
  return textOf(container, posix.resolve(posix.dirname(path), target), links - 1);
}
