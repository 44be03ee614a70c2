// What esbuild made of files, kept from one process to the next: most loads then need no esbuild, which takes longer to
// start than a pipedef to load. Losing any of it costs time, no more.

import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TransformResult as Transformed } from "esbuild";

export type KeptTransform = Pick<Transformed, "code" | "warnings">;

const mostKept = 500;
/** A larger one is data, most likely, and another one each time. */
const largestBytes = 256 * 1024;

export class KeptTransforms {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static in(cacheFolder: string): KeptTransforms {
    return new KeptTransforms(join(cacheFolder, "transforms"));
  }

  /** `how`: everything but the source on which the result depends. */
  async of(
    how: unknown,
    source: Uint8Array,
    make: () => Promise<KeptTransform>,
  ): Promise<KeptTransform> {
    if (source.byteLength > largestBytes) return make();
    const path = this.#pathOf(how, source);
    const kept = parse(await readFile(path, "utf8").catch(() => ""));
    if (kept) return kept;
    const made = await make();
    void this.#keep(path, made).catch(() => {});
    return made;
  }

  /** Where nobody can wait. Null: it is not kept. */
  findSync(how: unknown, source: Uint8Array): KeptTransform | null {
    try {
      return parse(readFileSync(this.#pathOf(how, source), "utf8"));
    } catch {
      return null;
    }
  }

  #pathOf(how: unknown, source: Uint8Array): string {
    const name = createHash("sha256")
      .update(`${JSON.stringify(how)}\0`)
      .update(source);
    return join(this.#folder, `${name.digest("hex")}.json`);
  }

  async #keep(path: string, { code, warnings }: KeptTransform): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const aside = `${path}.${randomUUID()}`;
    const content = JSON.stringify({ code, warnings });
    await writeFile(aside, `${hashOf(content)}\n${content}`, { mode: 0o600 });
    await rename(aside, path);
    const names = await readdir(this.#folder);
    if (names.length > mostKept) await this.#forgetHalf(names);
  }

  async #forgetHalf(names: readonly string[]): Promise<void> {
    const files = await Promise.all(
      names.map(async (name) => {
        const path = join(this.#folder, name);
        // Another process may have the same in hand.
        return {
          path,
          madeAt: await stat(path).then(
            ({ mtimeMs }) => mtimeMs,
            () => 0,
          ),
        };
      }),
    );
    const oldest = files.sort((a, b) => a.madeAt - b.madeAt).slice(0, files.length / 2);
    await Promise.all(oldest.map(({ path }) => rm(path, { force: true })));
  }
}

/** Null: it is not what was written. */
function parse(text: string): KeptTransform | null {
  const content = text.slice(text.indexOf("\n") + 1);
  return text.startsWith(`${hashOf(content)}\n`) ? JSON.parse(content) : null;
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
