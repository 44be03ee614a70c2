import type { Ecosystem, RepoFiles, Step } from "./repo.js";

interface Manager {
  readonly lockfile: string;
  readonly run: string;
  /** From a package's own bin folder. */
  readonly exec: string;
  readonly install: readonly string[];
}

const managers: readonly Manager[] = [
  {
    lockfile: "pnpm-lock.yaml",
    run: "pnpm run",
    exec: "pnpm exec",
    install: ["RUN corepack enable", "RUN pnpm install --frozen-lockfile"],
  },
  {
    lockfile: "yarn.lock",
    run: "yarn run",
    exec: "yarn run",
    install: ["RUN corepack enable", "RUN yarn install --frozen-lockfile"],
  },
  {
    lockfile: "bun.lock",
    run: "npm run",
    exec: "npx",
    install: ["RUN npm install --global bun && bun install --frozen-lockfile"],
  },
  { lockfile: "package-lock.json", run: "npm run", exec: "npx", install: ["RUN npm ci"] },
];
const plainNpm: Manager = {
  lockfile: "",
  run: "npm run",
  exec: "npx",
  install: ["RUN npm install"],
};

/** Scripts that tell quickly whether the code is sound. */
const checkScripts = ["lint", "typecheck", "type-check", "types", "check", "build"];

const testFile = /(^|\/)[^/]+\.(test|spec)\.[cm]?[jt]sx?$/;
const testGlob = "**/*.{test,spec}.{ts,tsx,mts,cts,js,jsx,mjs,cjs}";

export function detectNode(files: RepoFiles): Ecosystem | null {
  if (!files.has("package.json")) return null;
  const manifest = readManifest(files.read("package.json"));
  const manager = managers.find(({ lockfile }) => files.has(lockfile)) ?? plainNpm;
  const script = (name: string): Step => ({
    task: taskName(name),
    command: `${manager.run} ${name}`,
  });
  const testScript = manifest.scripts.test ?? "";
  const hasTest = testScript !== "" && !testScript.includes("no test specified");
  const runner = runnerOf(testScript, manifest.dependencies, manager);
  const several = files.find(testFile).length > 1;
  return {
    name: "node",
    because: "package.json",
    docker: [
      `FROM node:${nodeMajor(manifest.engine)}`,
      "WORKDIR /repo",
      "COPY . .",
      ...manager.install,
    ],
    checks: checkScripts.filter((name) => manifest.scripts[name] !== undefined).map(script),
    tests: hasTest
      ? [{ task: "test", command: `${manager.run} test` }]
      : [{ task: "test", command: "node --test" }],
    ...(runner && several && { perFile: { glob: testGlob, command: runner } }),
  };
}

interface Manifest {
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: ReadonlySet<string>;
  readonly engine: string;
}

/** Whatever somebody wrote: what is not as expected counts as absent. */
function readManifest(text: string): Manifest {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    parsed = null;
  }
  const scripts: Record<string, string> = {};
  for (const [name, value] of Object.entries(child(parsed, "scripts"))) {
    if (typeof value === "string") scripts[name] = value;
  }
  const dependencies = new Set(
    ["dependencies", "devDependencies"].flatMap((key) => Object.keys(child(parsed, key))),
  );
  const engine: unknown = child(parsed, "engines").node;
  return { scripts, dependencies, engine: typeof engine === "string" ? engine : "" };
}

function child(value: unknown, key: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null) return {};
  const found: unknown = Object.entries(value).find(([name]) => name === key)?.[1];
  return typeof found === "object" && found !== null
    ? Object.fromEntries(Object.entries(found))
    : {};
}

/** The command for one file, where the test script is no more than one of the known runners. */
function runnerOf(
  script: string,
  dependencies: ReadonlySet<string>,
  { exec }: Manager,
): string | null {
  if (/&&|\|\||;/.test(script)) return null;
  if (/\bvitest\b/.test(script) && dependencies.has("vitest")) return `${exec} vitest run FILE`;
  if (/\bjest\b/.test(script) && dependencies.has("jest")) return `${exec} jest FILE`;
  if (/\bmocha\b/.test(script) && dependencies.has("mocha")) return `${exec} mocha FILE`;
  return null;
}

function nodeMajor(engine: string): string {
  const majors = [...engine.matchAll(/(?:^|[^.\d])(\d{2})(?![\d])/g)].map((match) =>
    Number(match[1]),
  );
  return String(Math.max(22, ...majors));
}

export function taskName(text: string): string {
  const name = text.replace(/[^A-Za-z0-9]+/g, "_").replace(/^_+|_+$/g, "");
  return name || "task";
}
