// Builds dist/: every TypeScript file of src, runtime and test becomes one JavaScript file at the same
// place (no bundle, so that threads and child processes find their entry files as in the source), and
// the UI becomes one bundle. With --types it also writes the declarations that the package ships.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import * as esbuild from "esbuild";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");

const codeFolders = ["src", "runtime", "test"];
const nodeTarget = "node20.19";

/** Of the page only the files without markup, for the tests; browsers get the bundle. */
function sourceFiles() {
  const files = codeFolders.flatMap((folder) => filesBelow(folder, /\.tsx?$/));
  return [...files, ...filesBelow("ui", /\.ts$/)].map((name) => join(root, name));
}

function filesBelow(folder, pattern) {
  return readdirSync(join(root, folder), { recursive: true })
    .filter((name) => pattern.test(name) && !name.endsWith(".d.ts"))
    .filter((name) => !name.split(/[\\/]/).includes("fixtures"))
    .map((name) => join(folder, name));
}

/** One call builds everything; leftovers of deleted sources go. */
export async function build() {
  for (const folder of [...codeFolders, "ui"]) {
    rmSync(join(root, "dist", folder), { recursive: true, force: true });
  }
  const builder = await createBuilder();
  try {
    await builder.rebuild();
  } finally {
    await builder.dispose();
  }
}

/** Builds the files that exist now, again and again; each time costs only what has changed. */
export async function createBuilder() {
  const hasUi = existsSync(join(root, "ui/main.tsx"));
  const contexts = await Promise.all(
    [codeOptions(), ...(hasUi ? [uiOptions] : [])].map((options) => esbuild.context(options)),
  );
  return {
    async rebuild() {
      await Promise.all(contexts.map((context) => context.rebuild()));
      if (hasUi) writePage();
    },
    async dispose() {
      await Promise.all(contexts.map((context) => context.dispose()));
    },
  };
}

const codeOptions = () => ({
  entryPoints: sourceFiles(),
  outdir: join(root, "dist"),
  outbase: root,
  format: "esm",
  platform: "node",
  target: nodeTarget,
  sourcemap: "linked",
  sourcesContent: false,
  logLevel: "warning",
});

const uiOptions = {
  entryPoints: { app: join(root, "ui/main.tsx") },
  outdir: join(root, "dist/ui"),
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  entryNames: "[name]",
  logLevel: "warning",
};

/**
 * The page names its files by their content: no browser shows an old one with a new one, and a page that
 * has stayed open over an upgrade can tell that it is outdated.
 */
function writePage() {
  let page = readFileSync(join(root, "ui/index.html"), "utf8");
  for (const name of ["app.js", "app.css"]) {
    const content = readFileSync(join(root, "dist/ui", name));
    const version = createHash("sha256").update(content).digest("hex").slice(0, 12);
    page = page.replace(`"/${name}"`, `"/${name}?${version}"`);
  }
  writeFileSync(join(root, "dist/ui/index.html"), page);
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
