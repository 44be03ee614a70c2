import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * As mkdir -p. Node's own tries for ever where the file system says of a folder that it is not there, though
 * its parent is: /proc does.
 */
export async function makeFolder(path: string, mode = 0o700): Promise<void> {
  if (await isFolder(path)) return;
  const parent = dirname(path);
  if (parent !== path) await makeFolder(parent, mode);
  await mkdir(path, { mode }).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
    if (await isFolder(path)) return;
    throw Object.assign(new Error(`ENOTDIR: ${path} is there, and is no folder`), {
      code: "ENOTDIR",
    });
  });
}

function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
