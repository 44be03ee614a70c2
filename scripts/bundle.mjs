// What a process or a thread of the program begins with, each with all that it imports: file by file, a start would read
// some 300 of them, one after the other.
import { readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { init, parse } from "es-module-lexer";
import { vendoredFile } from "./vendor.mjs";

/** One file each, also with what is only loaded on demand: that is not run before, and hardly costs anything until then. */
const alone = [
  "runtime/host/typescript/inside/hooks.ts",
  "runtime/host/typescript/inside/watchdog.ts",
  "src/boss/output/output-search-thread.ts",
  "src/cli/main.ts",
  "src/library.ts",
  "src/worker/caches/copy-thread.ts",
  "src/worker/executors/docker-cleaner.ts",
];

/** No ECMAScript module: what the engine has made of one cannot be kept with Node 20 (src/cli/compiled.ts). */
const script = "src/cli/command-line.ts";

/** In one thread the same modules are what a home begins with and what a pipedef imports. */
const inHomes = [
  "runtime/index.ts",
  "runtime/host/typescript/inside/process.ts",
  "runtime/host/typescript/inside/thread.ts",
];

export const beginnings = [...alone, script, ...inHomes];

export const builtName = (name) => name.replace(/\.ts$/, name === script ? ".cjs" : ".js");

export function bundleOptions(root, outdir, target) {
  const common = {
    outdir,
    outbase: root,
    bundle: true,
    packages: "external",
    plugins: [atItsPlace(root, outdir)],
    format: "esm",
    platform: "node",
    target,
    // Not minified: that gains nothing that could be measured, and people read stacks.
    logLevel: "warning",
  };
  const paths = (names) => names.map((name) => join(root, name));
  return [
    { ...common, entryPoints: paths(alone) },
    {
      ...common,
      entryPoints: paths([script]),
      format: "cjs",
      outExtension: { ".js": ".cjs" },
      define: { "import.meta.url": "ownUrl" },
      banner: { js: 'const ownUrl = require("node:url").pathToFileURL(__filename).href;' },
    },
    {
      ...common,
      entryPoints: paths(inHomes),
      splitting: true,
      chunkNames: "runtime/chunks/[name]-[hash]",
    },
  ];
}

/** Each module finds what lies beside it as if it were a file of its own, whatever file it is in. */
function atItsPlace(root, outdir) {
  return {
    name: "at-its-place",
    async setup(build) {
      await init;
      build.onResolve({ filter: /^[^.]/ }, ({ path }) => {
        const file = vendoredFile(outdir, path);
        return file && { path: file };
      });
      build.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        const text = readFileSync(path, "utf8");
        if (!text.includes("import.meta")) return { contents: text, loader: "ts" };
        const { code } = await build.esbuild.transform(text, { loader: "ts", target: "esnext" });
        const file = relative(root, path).split(sep).join("/").replace(/\.ts$/, ".js");
        return { contents: movedTo(file, code) };
      });
    },
  };
}

function movedTo(file, code) {
  const [imports] = parse(code);
  const url = `.url.replace(/(?<=\\/dist\\/)(?!.*\\/dist\\/).*/, ${JSON.stringify(file)})`;
  let moved = "";
  let at = 0;
  for (const { type, end } of imports) {
    if (type !== "import-meta" || !code.startsWith(".url", end)) continue;
    moved += code.slice(at, end) + url;
    at = end + ".url".length;
  }
  return moved + code.slice(at);
}
