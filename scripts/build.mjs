// Builds dist/: every TypeScript file of src, runtime, test and bench becomes one JavaScript file at the same place. Those
// that a process or thread begins with are bundles (bundle.mjs), and they are what the package ships; the others are
// there for tests. Some packages become one file each (vendor.mjs), and the UI becomes one bundle. With --types it also
// writes the declarations that the package ships.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import * as esbuild from "esbuild";
import { beginnings, bundleOptions } from "./bundle.mjs";
import { importVendored, vendorOptions } from "./vendor.mjs";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");

const codeFolders = ["src", "runtime", "test", "bench"];
const nodeTarget = "node20.19";

/** One by one. Of the page only the files without markup, for the tests; browsers get the bundle. */
function sourceFiles() {
  const files = codeFolders.flatMap((folder) => filesBelow(folder, /\.tsx?$/));
  return [...files, ...filesBelow("ui", /\.ts$/)]
    .filter((name) => !beginnings.includes(name.split(sep).join("/")))
    .map((name) => join(root, name));
}

function filesBelow(folder, pattern) {
  return readdirSync(join(root, folder), { recursive: true })
    .filter((name) => pattern.test(name) && !name.endsWith(".d.ts"))
    .filter((name) => !name.split(/[\\/]/).includes("fixtures"))
    .map((name) => join(folder, name));
}

/** One call builds everything; leftovers of deleted sources go. */
export async function build() {
  for (const folder of [...codeFolders, "vendor", "ui"]) {
    rmSync(join(root, "dist", folder), { recursive: true, force: true });
  }
  const builder = await createBuilder();
  try {
    return await builder.rebuild();
  } finally {
    await builder.dispose();
  }
}

/** Builds the files that exist now, again and again; each time costs only what has changed. */
export async function createBuilder() {
  const hasUi = existsSync(join(root, "ui/main.tsx"));
  // Changes with an installation only.
  await esbuild.build(await vendorOptions(root, join(root, "dist"), nodeTarget));
  const contexts = await Promise.all(
    [
      codeOptions(),
      ...bundleOptions(root, join(root, "dist"), nodeTarget),
      ...(hasUi ? [uiOptions, firstOptions] : []),
    ].map((options) => esbuild.context(options)),
  );
  return {
    async rebuild() {
      const built = await Promise.all(contexts.map((context) => context.rebuild()));
      const page = built.slice(-2);
      return hasUi ? writePage(page.map(({ metafile }) => metafile.outputs)) : null;
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
  plugins: [importVendored(root, join(root, "dist"))],
  format: "esm",
  platform: "node",
  target: nodeTarget,
  sourcemap: "linked",
  sourcesContent: false,
  logLevel: "warning",
});

const uiOptions = {
  entryPoints: {
    app: join(root, "ui/main.tsx"),
  },
  outdir: join(root, "dist/ui/assets"),
  bundle: true,
  // Pages are fetched when they are first opened.
  splitting: true,
  minify: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  // Named by their content, so browsers keep them for ever, and no browser shows an old one with a new one.
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  metafile: true,
  logLevel: "warning",
};

/** Runs before everything else, so it is no module; it stands in the page itself, as it mends what cannot be fetched. */
const firstOptions = {
  ...uiOptions,
  entryPoints: { first: join(root, "ui/first.ts") },
  splitting: false,
  format: "iife",
};

/** What the first paint may cost, JavaScript and CSS together, as it travels. */
export const firstPaintBudgetBytes = 60 * 1024;

/** The entries, what they import at once, and the style sheet. */
function firstPaintOf(outputs) {
  const found = new Set();
  const add = (path) => {
    if (found.has(path)) return;
    found.add(path);
    for (const { path: imported, kind } of outputs[path].imports) {
      if (kind === "import-statement") add(imported);
    }
  };
  for (const [path, { entryPoint }] of Object.entries(outputs)) {
    // Each part that is fetched later counts as an entry too.
    if (/\/(main\.tsx|first\.ts)$/.test(entryPoint ?? "") || path.endsWith(".css")) add(path);
  }
  return found;
}

/** Writes index.html and the compressed files, removes those of earlier builds, returns the sizes. */
function writePage(built) {
  const outputs = Object.assign({}, ...built);
  const folder = join(root, "dist/ui/assets");
  const files = Object.keys(outputs).map((path) => basename(path));
  for (const name of readdirSync(folder)) {
    if (!files.includes(name.replace(/\.(gz|br)$/, ""))) rmSync(join(folder, name));
  }
  const entries = {};
  const sizes = { firstPaint: 0, onDemand: 0 };
  const first = firstPaintOf(outputs);
  for (const path of Object.keys(outputs)) {
    const name = basename(path);
    const content = readFileSync(join(folder, name));
    const plain = name.replace(/-\w{8}\.(js|css)$/, ".$1");
    entries[plain] = name;
    const gz = gzipSync(content, { level: 9 });
    sizes[first.has(path) ? "firstPaint" : "onDemand"] += gz.length;
    if (existsSync(join(folder, `${name}.br`))) continue;
    writeFileSync(join(folder, `${name}.gz`), gz);
    writeFileSync(join(folder, `${name}.br`), brotliCompressSync(content));
  }
  const early = readFileSync(join(folder, entries["first.js"]), "utf8").trim();
  // Asked for at once, not when the script that imports them has come.
  const parts = [...first]
    .map((path) => basename(path))
    .filter((name) => /^chunk-.*js$/.test(name));
  const page = readFileSync(join(root, "ui/index.html"), "utf8")
    .replace('<script src="first.js"></script>', () => `<script>${early}</script>`)
    .replace(/"(app\.js|app\.css)"/g, (_, name) => `"/assets/${entries[name]}"`)
    .replace(/^ *<script type="module".*$/m, (script) =>
      [
        ...parts.map((name) => `    <link rel="modulepreload" href="/assets/${name}">`),
        script,
      ].join("\n"),
    );
  for (const ending of ["", ".gz", ".br"]) rmSync(join(folder, entries["first.js"] + ending));
  writeFileSync(join(root, "dist/ui/index.html"), page);
  return sizes;
}

function sayBudget({ firstPaint, onDemand }) {
  const kb = (bytes) => `${(bytes / 1024).toFixed(1)} KB`;
  console.log(
    `page: first paint ${kb(firstPaint)} gzip (budget ${kb(firstPaintBudgetBytes)}), on demand ${kb(onDemand)}`,
  );
  if (firstPaint <= firstPaintBudgetBytes) return;
  console.error("The first paint is over its budget: import what it does not need by import().");
  process.exitCode = 1;
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
  const sizes = await build();
  if (sizes) sayBudget(sizes);
  if (process.argv.includes("--types")) buildTypes();
}
