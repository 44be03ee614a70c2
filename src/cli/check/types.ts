// Type-checks a pipedef with the compiler this package brings, in a repo that needs no node_modules.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, extname, join, resolve } from "node:path";
import { packageRoot } from "../environment.js";

export interface TypeProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly code: string;
  readonly message: string;
}

export type TypeCheck =
  | { readonly ran: true; readonly problems: readonly TypeProblem[] }
  | { readonly ran: false; readonly why: string };

/** Bounds a compiler that hangs; a check of a pipedef takes about a second. */
const limitMs = 120_000;

export async function checkTypes(pipedef: string): Promise<TypeCheck> {
  if (![".ts", ".mts", ".cts"].includes(extname(pipedef))) {
    return { ran: false, why: "not TypeScript" };
  }
  const folder = await mkdtemp(join(tmpdir(), "bettertest-check-"));
  try {
    const config = join(folder, "tsconfig.json");
    await writeFile(config, JSON.stringify(tsconfigFor(pipedef)));
    return readDiagnostics(await runCompiler(config, dirname(pipedef)), dirname(pipedef));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function tsconfigFor(pipedef: string) {
  const require = createRequire(import.meta.url);
  const nodeTypes = dirname(require.resolve("@types/node/package.json"));
  const declarations = join(packageRoot, "dist/types/bettertest.d.ts");
  const source = join(packageRoot, "runtime/index.ts");
  const own = join(dirname(pipedef), "tsconfig.json");
  return {
    // Its author's own settings count, where there are some.
    ...(existsSync(own) && { extends: own }),
    compilerOptions: {
      ...(!existsSync(own) && { strict: true }),
      target: "es2023",
      lib: ["es2023", "esnext.disposable"],
      module: "preserve",
      moduleResolution: "bundler",
      allowImportingTsExtensions: true,
      resolveJsonModule: true,
      noEmit: true,
      composite: false,
      incremental: false,
      skipLibCheck: true,
      typeRoots: [dirname(nodeTypes)],
      types: ["node"],
      // A clone that was built without its declarations has its sources instead.
      ...(!existsSync(declarations) && { paths: { bettertest: [source] } }),
    },
    files: [resolve(pipedef), ...(existsSync(declarations) ? [declarations] : [])],
    include: [],
  };
}

function runCompiler(config: string, cwd: string): Promise<string> {
  const tsc = createRequire(import.meta.url).resolve("typescript/package.json");
  const args = [join(dirname(tsc), "bin/tsc"), "-p", config, "--noEmit", "--pretty", "false"];
  return new Promise((done, reject) => {
    const child = spawn(process.execPath, args, {
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: limitMs,
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (signal) reject(new Error(`the type check was ended by ${signal}`));
      else if (code !== 0 && !output.includes("error TS")) {
        reject(new Error(`the compiler failed (exit code ${code}): ${output.trim()}`));
      } else done(output);
    });
  });
}

/** `file(line,column): error TS2345: message`, with indented lines that go on. */
function readDiagnostics(output: string, folder: string): TypeCheck {
  const problems: TypeProblem[] = [];
  for (const line of output.split(/\r?\n/)) {
    const found = /^(.+?)\((\d+),(\d+)\): error (TS\d+): (.*)$/.exec(line);
    const last = problems.at(-1);
    if (found) {
      const [, file = "", row, column, code = "", message = ""] = found;
      problems.push({
        file: resolve(folder, file),
        line: Number(row),
        column: Number(column),
        code,
        message,
      });
    } else if (/^error TS/.test(line)) {
      return { ran: false, why: line };
    } else if (last && /^\s+\S/.test(line)) {
      problems[problems.length - 1] = { ...last, message: `${last.message}\n${line}` };
    }
  }
  return { ran: true, problems };
}
