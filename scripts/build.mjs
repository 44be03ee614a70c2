// Builds dist/: every TypeScript file of src, runtime and test becomes one JavaScript file at the same
// place (no bundle, so that threads and child processes find their entry files as in the source), and
// the UI becomes one bundle. With --types it also writes the declarations that the package ships.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import * as esbuild from "esbuild";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");

const codeFolders = ["src", "runtime", "test"];
const nodeTarget = "node20.19";

function sourceFiles() {
  return codeFolders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true })
      .filter((name) => /\.tsx?$/.test(name) && !name.endsWith(".d.ts"))
      .filter((name) => !name.split(/[\\/]/).includes("fixtures"))
      .map((name) => join(root, folder, name)),
  );
}

/** One call builds everything; leftovers of deleted sources go. */
export async function build() {
  for (const folder of [...codeFolders, "ui"]) {
    rmSync(join(root, "dist", folder), { recursive: true, force: true });
  }
  await Promise.all([
    esbuild.build({
      entryPoints: sourceFiles(),
      outdir: join(root, "dist"),
      outbase: root,
      format: "esm",
      platform: "node",
      target: nodeTarget,
      sourcemap: "linked",
      sourcesContent: false,
      logLevel: "warning",
    }),
    buildUi(),
  ]);
}

async function buildUi() {
  const entry = join(root, "ui/main.tsx");
  if (!existsSync(entry)) return;
  await esbuild.build({
    entryPoints: { app: entry },
    outdir: join(root, "dist/ui"),
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    jsxImportSource: "preact",
    loader: { ".html": "copy", ".svg": "copy" },
    entryNames: "[name]",
    logLevel: "warning",
  });
  writeFileSync(join(root, "dist/ui/index.html"), readFileSync(join(root, "ui/index.html")));
}

/** Declarations of the package, and the one file that `bettertest init` puts beside a pipedef. */
export function buildTypes() {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const { status } = spawnSync(process.execPath, [tsc, "-p", "tsconfig.types.json"], {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) throw new Error("tsc could not write the declarations");
  const api = readFileSync(join(root, "dist/runtime/api.d.ts"), "utf8");
  if (/^import /m.test(api)) {
    throw new Error(
      "runtime/api.ts must not need other files' types: its declarations travel alone",
    );
  }
  const body = api
    .replace(/^\/\/# sourceMappingURL.*$/m, "")
    .replace(/^export declare /gm, "export ")
    .replace(/^(?=.)/gm, "  ");
  mkdirSync(join(root, "dist/types"), { recursive: true });
  writeFileSync(
    join(root, "dist/types/bettertest.d.ts"),
    `// Types of "bettertest" for editors, written by "bettertest init".\ndeclare module "bettertest" {\n${body}}\n`,
  );
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  await build();
  if (process.argv.includes("--types")) buildTypes();
}
