// Checks who imports whom. The table is the architecture: a folder that is not in it does not exist, and
// an import that it does not allow is a decision to be made here first, not in passing.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, posix } from "node:path";
import { pathToFileURL } from "node:url";
import { init, parse } from "es-module-lexer";
import * as esbuild from "esbuild";
import { root } from "./setup.mjs";

const node = "node";
const server = ["hono", "@hono/node-server", "zod"];

/** Folder: the folders, single files and packages it may import ("node": Node's built-ins). */
const table = {
  "src/model": [],
  // One place that loads it; the lock, which the system takes away from a process that has ended, needs it too.
  "src/lib/sqlite.ts": [node, "libsql"],
  "src/lib/owner-lock.ts": ["src/lib", "src/lib/sqlite.ts", node],
  "src/lib": [node],
  "src/version.ts": [node],
  "src/source": ["src/lib", node],
  "src/wire": ["src/model", "src/lib", "src/source", node, "zod", "@hono/node-server"],
  runtime: ["src/model", "src/wire", "src/lib", node, "tsx", "esbuild", "es-module-lexer", "zod"],
  "src/access": ["src/wire", "src/lib", node, "zod"],
  // Not the model: a worker knows no stages.
  "src/worker": ["src/access", "src/wire", "src/lib", "src/source", node, "dockerode", ...server],
  // The only place with SQL. Above its parent: the first row that covers a file counts.
  "src/boss/store": ["src/model", "src/lib", "src/lib/sqlite.ts", node],
  "src/boss": [
    "src/model",
    "src/wire",
    "src/lib",
    "src/source",
    "src/access",
    "src/boss/store",
    "runtime",
    node,
    ...server,
  ],
  "src/terminal": ["src/model", "src/wire", "src/lib", node],
  ui: ["src/model", "src/wire/boss.ts", "preact"],
  "src/cli": ["*"],
  test: ["*"],
  bench: ["*"],
};

/** They only connect, so they may import anything. */
const compositionRoots = /^(src\/library\.ts|.*\/main\.tsx?)$/;
const isUiMain = (file) => file.startsWith("ui/");

/** @returns {Promise<string[]>} one line for each import or folder that the table does not allow */
export async function checkImports(folder = root) {
  await init;
  const files = sourceFiles(folder);
  const problems = unlistedFolders(folder);
  for (const file of files) {
    const home = areaOf(file);
    if (!home) {
      problems.push(`${file}: no row of the table covers it`);
      continue;
    }
    const mayImportAll =
      table[home].includes("*") || (compositionRoots.test(file) && !isUiMain(file));
    if (mayImportAll) continue;
    for (const { specifier, line } of await importsOf(join(folder, file))) {
      const target = resolveImport(file, specifier);
      if (areaOf(target) === home || isAllowed(target, table[home])) continue;
      problems.push(`${file}:${line}: ${home} must not import ${target}`);
    }
  }
  return problems;
}

function sourceFiles(folder) {
  return ["src", "runtime", "ui", "test", "bench"]
    .filter((top) => existsSync(join(folder, top)))
    .flatMap((top) =>
      readdirSync(join(folder, top), { recursive: true })
        .map((name) => posix.join(top, name.replaceAll("\\", "/")))
        .filter((name) => /\.tsx?$/.test(name) && !name.includes("/fixtures/")),
    );
}

function unlistedFolders(folder) {
  if (!existsSync(join(folder, "src"))) return [];
  return readdirSync(join(folder, "src"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !(`src/${entry.name}` in table))
    .map((entry) => `src/${entry.name}: not in the table of scripts/check-imports.mjs`);
}

function areaOf(file) {
  if (file === "src/library.ts") return "src/cli";
  return Object.keys(table).find((area) => file === area || file.startsWith(`${area}/`)) ?? null;
}

function resolveImport(file, specifier) {
  if (specifier.startsWith(".")) {
    return posix.join(dirname(file), specifier).replace(/\.js$/, ".ts");
  }
  if (specifier.startsWith("node:") || builtinModules.includes(specifier)) return node;
  return specifier;
}

function isAllowed(target, allowed) {
  return allowed.some((entry) => target === entry || target.startsWith(`${entry}/`));
}

/**
 * What a TypeScript file imports, types included. esbuild drops type imports, so they are turned into plain
 * ones first; its output, unlike the source, has no string or comment that merely looks like an import.
 */
export async function importsOf(path) {
  const source = readFileSync(path, "utf8");
  const plain = source.replace(/^(import type (?=[{*\w])|export type (?=[{*]))/gm, (words) =>
    words.replace(" type", ""),
  );
  const { code } = await esbuild.transform(plain, {
    loader: path.endsWith("x") ? "tsx" : "ts",
    jsx: "automatic",
    jsxImportSource: "preact",
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
  });
  const [imports] = parse(code);
  return imports
    .filter(({ specifier }) => typeof specifier === "string")
    .map(({ specifier }) => {
      const before = source.slice(0, Math.max(0, source.indexOf(`"${specifier}"`)));
      return { specifier, line: before.split("\n").length };
    });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const problems = await checkImports(process.argv[2]);
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
}
