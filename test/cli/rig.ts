// Runs the built program as a child process in a temporary repo.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const program = fileURLToPath(new URL("../../../bin/bettertest.js", import.meta.url));

export interface CliResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  /** What it can read on its standard input. */
  readonly input?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Default: the one that was built here. */
  readonly program?: string;
}

export interface RunningCli {
  readonly child: ChildProcess;
  readonly ended: Promise<CliResult>;
  /** Resolves when stdout (or stderr) holds the text; rejects with all output if the program ends before. */
  prints(text: string | RegExp, where?: "stdout" | "stderr"): Promise<string>;
}

export function startCli(
  args: readonly string[],
  { cwd, env, input, program: path = program }: CliOptions = {},
): RunningCli {
  const { CI: _, FORCE_COLOR: __, NO_COLOR: ___, ...inherited } = process.env;
  const child = spawn(process.execPath, [path, ...args], {
    cwd,
    env: { ...inherited, ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.on("error", () => {});
  child.stdin.end(input ?? "");
  let stdout = "";
  let stderr = "";
  const watchers = new Set<() => void>();
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    for (const watch of watchers) watch();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    for (const watch of watchers) watch();
  });
  const ended = new Promise<CliResult>((resolve) => {
    child.on("close", (code, signal) => {
      resolve({ exitCode: code ?? (signal ? -1 : 0), stdout, stderr });
    });
  });
  return {
    child,
    ended,
    prints: (wanted, where = "stdout") =>
      new Promise((resolve, reject) => {
        const look = () => {
          const text = where === "stdout" ? stdout : stderr;
          const found = typeof wanted === "string" ? text.includes(wanted) : wanted.test(text);
          if (!found) return;
          watchers.delete(look);
          resolve(text);
        };
        watchers.add(look);
        look();
        void ended.then(() => reject(new Error(`ended without ${wanted}:\n${stdout}\n${stderr}`)));
      }),
  };
}

/** Of a server that was started with --json. */
export async function urlOf(running: RunningCli, type: "boss" | "worker"): Promise<string> {
  const out = await running.prints(new RegExp(`"type":"${type}".*\n`));
  const line = jsonLines(out.slice(0, out.lastIndexOf("\n"))).find((one) => one.type === type);
  return String(line?.url);
}

export function cli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return startCli(args, options).ended;
}

export interface TempRepo extends Disposable {
  readonly folder: string;
  write(path: string, text: string): void;
}

export function tempRepo(files: Readonly<Record<string, string>>): TempRepo {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "bettertest-cli-")));
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  for (const [path, text] of Object.entries(files)) write(path, text);
  return {
    folder,
    write,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A pipedef of one class, its tasks given as commands. */
export function pipedefOf(
  stages: Readonly<Record<string, Readonly<Record<string, string>>>>,
): string {
  const classes = Object.entries(stages).map(([stage, tasks]) => {
    const methods = Object.entries(tasks).map(
      ([task, command]) =>
        `  static task_${task}() { return run("bettertest-base", ${JSON.stringify(command)}); }`,
    );
    return `export class ${stage} extends Stage {\n${methods.join("\n")}\n}`;
  });
  return `import { run, Stage } from "bettertest";\n${classes.join("\n")}\n`;
}

export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

export async function waitFor(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 30_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error("waited 30 s in vain");
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
