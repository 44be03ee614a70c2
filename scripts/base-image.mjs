// Makes a small image for the quickstart and the tests out of this machine's own shell and core tools,
// so that neither needs a registry. Linux only: elsewhere containers run another kind of program.
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

export const baseImage = "bettertest-base";

const tools = (
  "sh bash cat ls echo printf sleep seq head tail sort uniq wc grep sed awk tr cut date dd env id kill ps " +
  "pwd rm mkdir mv cp touch chmod true false test expr yes tee timeout nproc uname hostname sha256sum base64 stty"
).split(" ");

function run(command, args, options = {}) {
  return spawnSync(command, args, { encoding: "utf8", maxBuffer: 2 ** 28, ...options });
}

function libraries(program) {
  const { stdout } = run("ldd", [program]);
  return [...(stdout ?? "").matchAll(/(\/[^\s)]+)/g)].map((match) => match[1]);
}

/** @returns {string} the image's name. Throws with the reason where it cannot be made. */
export function ensureBaseImage({ name = baseImage } = {}) {
  if (run("docker", ["image", "inspect", name]).status === 0) return name;
  if (process.platform !== "linux") {
    const pull = run("docker", ["pull", "busybox"]);
    if (pull.status !== 0) throw new Error(`docker pull busybox failed: ${pull.stderr.trim()}`);
    run("docker", ["tag", "busybox", name]);
    return name;
  }
  const named = Object.fromEntries(tools.map((tool) => [tool, programOf(tool)]));
  return importPrograms(name, named, ['CMD ["sh"]']);
}

function programOf(tool) {
  const found = run("sh", ["-c", `PATH=/usr/bin:/bin command -v ${tool}`]).stdout.trim();
  const path = found.startsWith("/") ? found : `/usr/bin/${tool}`;
  return existsSync(path) ? realpathSync(path) : null;
}

/**
 * An image of programs of this machine, by the names that they have in it, with the libraries they need.
 * @returns {string} its name
 */
export function importPrograms(name, programs, changes) {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-image-"));
  try {
    for (const dir of ["bin", "tmp", "root", "proc", "dev", "etc", "usr"])
      mkdirSync(join(folder, dir));
    symlinkSync("../bin", join(folder, "usr/bin"));
    writeFileSync(
      join(folder, "etc/passwd"),
      "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/tmp:/bin/sh\n",
    );
    writeFileSync(join(folder, "etc/group"), "root:x:0:\nnogroup:x:65534:\n");
    for (const [tool, program] of Object.entries(programs)) {
      if (program === null) continue;
      cpSync(program, join(folder, "bin", tool));
      for (const library of libraries(program)) {
        const target = join(folder, library);
        if (existsSync(target)) continue;
        mkdirSync(dirname(target), { recursive: true });
        cpSync(realpathSync(library), target);
      }
    }
    const tar = spawnSync("tar", ["-C", folder, "-c", "."], { maxBuffer: 2 ** 28 });
    const all = ["ENV PATH=/usr/bin:/bin", ...changes].flatMap((change) => ["--change", change]);
    const made = run("docker", ["import", ...all, "-", name], { input: tar.stdout });
    if (made.status !== 0) throw new Error(`docker import failed: ${made.stderr.trim()}`);
    return name;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  console.log(ensureBaseImage());
}
