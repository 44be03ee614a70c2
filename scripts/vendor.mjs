// Packages of which each start loads dozens of small files become one file each, in dist/vendor, without
// what nobody here uses. Everything in dist imports those, the tests too: what is tested is what ships.
import { readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";

/** Package: the names that nothing here uses, and that would bring most of its size. */
const unused = {
  hono: [],
  "@hono/node-server": [],
  yargs: [],
  // The whole of it under other names, and its messages in fifty languages.
  zod: ["z", "default", "core", "locales"],
};

const imported = new RegExp(
  `^((?:import|export|}).* from )"(${Object.keys(unused).join("|")})";$`,
  "gm",
);

const fileOf = (name) => `${name.replace("@", "").replace("/", "-")}.js`;

/** For what is built from `root` into `outdir`, file by file: one that imports them finds them there. */
export function importVendored(root, outdir) {
  return {
    name: "import-vendored",
    setup(build) {
      build.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const text = readFileSync(path, "utf8");
        const from = join(outdir, relative(root, dirname(path)));
        const contents = text.replace(imported, (_, before, name) => {
          const found = relative(from, join(outdir, "vendor", fileOf(name)));
          return `${before}"${found.split(sep).join("/")}";`;
        });
        return contents === text ? undefined : { contents, loader: "ts" };
      });
    },
  };
}

export async function vendorOptions(root, outdir, target) {
  const entries = Object.keys(unused).map(async (name) => [name, await reExport(name)]);
  const contents = new Map(await Promise.all(entries));
  return {
    entryPoints: Object.keys(unused).map((name) => ({
      in: `vendored:${name}`,
      out: fileOf(name).replace(/\.js$/, ""),
    })),
    outdir: join(outdir, "vendor"),
    bundle: true,
    format: "esm",
    platform: "node",
    target,
    // Names stay, for stacks that people read.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "eof",
    logLevel: "warning",
    // Some of it is CommonJS, and requires Node's own modules.
    banner: {
      js: 'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);',
    },
    plugins: [
      {
        name: "vendored",
        setup(build) {
          build.onResolve({ filter: /^vendored:/ }, ({ path }) => ({
            path,
            namespace: "vendored",
          }));
          build.onLoad({ filter: /./, namespace: "vendored" }, ({ path }) => ({
            contents: contents.get(path.slice("vendored:".length)),
            resolveDir: root,
          }));
        },
      },
    ],
  };
}

async function reExport(name) {
  const names = Object.keys(await import(name)).filter(
    (one) => /^[\w$]+$/.test(one) && !unused[name].includes(one),
  );
  return `export { ${names.join(", ")} } from "${name}";\n`;
}
