// Packages of which each start loads dozens of small files become one file each, in dist/vendor, without
// what nobody here uses. All that is compiled file by file imports those, and the bundles are made of them.
import { readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";

/** Package: the names that nothing here uses, and that would bring most of its size. */
const unused = {
  dockerode: [],
  hono: [],
  "@hono/node-server": [],
  yargs: [],
  // The whole of it under other names, and its messages in fifty languages.
  zod: ["z", "default", "core", "locales"],
};

/**
 * What dockerode loads in vain, most of its time to start: gRPC, which only some builds of images need, and an SSH client,
 * which only an engine at ssh:// needs. Found in the package itself when it is first used.
 */
const later = {
  "./session": "dockerode/lib/session.js",
  "./buildkit": "dockerode/lib/buildkit.js",
  "./ssh": "docker-modem/lib/ssh.js",
};

const whenUsed = (file) => `
const path = ${JSON.stringify(file)};
const load = () => require("node:module").createRequire(require.resolve("dockerode"))(path);
module.exports = (...given) => load()(...given);
module.exports.followProgress = (...given) => load().followProgress(...given);
`;

/** For help, which is plain text: only to be ready for emojis, the package takes a fortieth of a second at each start. */
const plainWidth =
  'import { stripVTControlCharacters } from "node:util"; export default (text) => stripVTControlCharacters(text).length;';

const imported = new RegExp(
  `^((?:import|export|}).* from )"(${Object.keys(unused).join("|")})";$`,
  "gm",
);

const fileOf = (name) => `${name.replace("@", "").replace("/", "-")}.js`;

/** Null: that package stays as it is. */
export const vendoredFile = (outdir, name) =>
  name in unused ? join(outdir, "vendor", fileOf(name)) : null;

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
          build.onResolve({ filter: /^\.\/(session|buildkit|ssh)$/ }, ({ path, importer }) =>
            /[\\/](dockerode|docker-modem)[\\/]lib[\\/]/.test(importer)
              ? { path: later[path], namespace: "later" }
              : null,
          );
          build.onLoad({ filter: /./, namespace: "later" }, ({ path }) => ({
            contents: whenUsed(path),
          }));
          build.onResolve({ filter: /^string-width$/ }, ({ path }) => ({
            path,
            namespace: "plain",
          }));
          build.onLoad({ filter: /./, namespace: "plain" }, () => ({ contents: plainWidth }));
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
