// `bettertest init`: looks at a repo and writes what it needs to start. Overwrites nothing.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { pipedefNames } from "../../boss/pipelines.js";
import { exitCodes } from "../../model/exit-code.js";
import { shellWord } from "../../model/shell-word.js";
import { printJson } from "../boss-access.js";
import { infrastructureError, usageError } from "../cli-error.js";
import { packageRoot, programName, styleOf } from "../environment.js";
import { detectGo, detectMake, detectRust } from "./compiled.js";
import { detectNode } from "./node.js";
import { detectPython } from "./python.js";
import { type Ecosystem, imageName, isFolder, openRepoFiles, type Repo } from "./repo.js";
import {
  buildCommand,
  dockerfileText,
  dockerignoreText,
  pipedefText,
  tsconfigText,
} from "./templates.js";

interface Written {
  readonly path: string;
  readonly wrote: boolean;
}

export function initRepo(given: string, { json }: { readonly json: boolean }): number {
  const folder = resolve(given);
  if (!isFolder(folder)) throw usageError(`${given} is no folder`);
  const repo = lookAt(folder);
  const files = writeFiles(repo);
  const next = nextCommands(repo, files);
  if (json) {
    const found = repo.ecosystems.map(({ name, because }) => ({ name, because }));
    printJson({ folder, found, files, next });
  } else process.stdout.write(`${report(repo, files, next).join("\n")}\n`);
  return exitCodes.passed;
}

export function lookAt(folder: string): Repo {
  const files = openRepoFiles(folder);
  const found = [detectNode, detectPython, detectGo, detectRust].flatMap(
    (detect) => detect(files) ?? [],
  );
  const make = found.length === 0 ? detectMake(files) : null;
  const ecosystems = make ? [make] : found;
  return {
    folder,
    name: imageName(folder),
    ecosystems: ecosystems.length > 0 ? ecosystems : [unknown],
  };
}

/** A start that runs, to be replaced. */
const unknown: Ecosystem = {
  name: "make",
  because: "",
  docker: ["FROM debian:stable-slim", "WORKDIR /repo", "COPY . ."],
  checks: [],
  tests: [{ task: "hello", command: "echo replace this by your test command && ls" }],
};

function writeFiles(repo: Repo): Written[] {
  const home = join(repo.folder, ".bettertest");
  const other = pipedefNames.find((name) => existsSync(join(home, name)));
  const pipedef = other ?? "pipedef.ts";
  const isTypeScript = /\.[cm]?ts$/.test(pipedef);
  const wanted: [name: string, text: () => string][] = [
    [pipedef, () => pipedefText(repo)],
    ["Dockerfile", () => dockerfileText(repo)],
    ["Dockerfile.dockerignore", () => dockerignoreText(repo)],
    ...(isTypeScript
      ? ([
          ["tsconfig.json", () => tsconfigText],
          ["bettertest.d.ts", readDeclarations],
        ] satisfies [string, () => string][])
      : []),
  ];
  return wanted.map(([name, text]) => {
    const path = join(home, name);
    return { path: relative(repo.folder, path), wrote: writeNew(path, text()) };
  });
}

function readDeclarations(): string {
  const path = join(packageRoot, "dist/types/bettertest.d.ts");
  try {
    return readFileSync(path, "utf8");
  } catch {
    throw infrastructureError(
      `${path} is missing: this clone was built without its declarations`,
      "Try: node scripts/build.mjs --types",
    );
  }
}

/** False where it was there before; by an exclusive create, so that no race overwrites anything. */
function writeNew(path: string, text: string): boolean {
  mkdirSync(dirname(path), { recursive: true });
  try {
    writeFileSync(path, text, { flag: "wx" });
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw infrastructureError(
      `cannot write ${path}: ${error instanceof Error ? error.message : error}`,
    );
  }
}

function nextCommands(repo: Repo, files: readonly Written[]): string[] {
  const here = relative(process.cwd(), repo.folder);
  const wroteDockerfile = files.some(({ path, wrote }) => wrote && path.endsWith("Dockerfile"));
  return [
    ...(here === "" ? [] : [`cd ${shellWord(here)}`]),
    ...(wroteDockerfile ? repo.ecosystems.map((one) => buildCommand(repo, one)) : []),
    `${programName()} run`,
  ];
}

function report(repo: Repo, files: readonly Written[], next: readonly string[]): string[] {
  const style = styleOf(process.stdout);
  const found = repo.ecosystems.flatMap(({ name, because }) =>
    because ? [`${name} (${because})`] : [],
  );
  return [
    found.length > 0
      ? `Found ${found.join(", ")}.`
      : "Found no package.json, pyproject.toml, go.mod, Cargo.toml or Makefile: wrote a start to edit.",
    "",
    ...files.map(({ path, wrote }) =>
      wrote
        ? `  ${style.green("wrote")}  ${path}`
        : `  ${style.yellow("left")}   ${path}  ${style.dim("was there, unchanged")}`,
    ),
    "",
    "Next:",
    ...next.map((line) => `  ${line}`),
  ];
}
