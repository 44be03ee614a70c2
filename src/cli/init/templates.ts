// The files that `bettertest init` writes.

import type { Ecosystem, EcosystemName, Repo, Step } from "./repo.js";

const titles: Readonly<Record<EcosystemName, string>> = {
  node: "Node",
  python: "Python",
  go: "Go",
  rust: "Rust",
  make: "Make",
};

/** One image a language; the only one is called after the repo. */
export function imageOf(repo: Repo, ecosystem: Ecosystem): string {
  return repo.ecosystems.length > 1 ? `${repo.name}-${ecosystem.name}-test` : `${repo.name}-test`;
}

export function buildCommand(repo: Repo, ecosystem: Ecosystem): string {
  const target = repo.ecosystems.length > 1 ? ` --target ${ecosystem.name}` : "";
  return `docker build -f .bettertest/Dockerfile${target} -t ${imageOf(repo, ecosystem)} .`;
}

export function pipedefText(repo: Repo): string {
  const several = repo.ecosystems.length > 1;
  const body = repo.ecosystems.flatMap((ecosystem) => {
    const image = several ? `${ecosystem.name.toUpperCase()}_IMAGE` : "IMAGE";
    const suffix = several ? titles[ecosystem.name] : "";
    return [
      { kind: "Check", steps: ecosystem.checks },
      { kind: "Test", steps: ecosystem.perFile ? [] : ecosystem.tests },
    ]
      .filter(({ steps }) => steps.length > 0)
      .map(({ kind, steps }) => ({ kind, text: stageClass(`${kind}${suffix}`, image, steps) }))
      .concat(
        ecosystem.perFile
          ? [{ kind: "Test", text: perFileStage(`Test${suffix}`, image, ecosystem.perFile) }]
          : [],
      );
  });
  // What is quick comes first, for all languages, before the first long test.
  const stages = ["Check", "Test"].flatMap((kind) =>
    body.filter((part) => part.kind === kind).map(({ text }) => text),
  );
  const images = repo.ecosystems.map((ecosystem) => {
    const name = several ? `${ecosystem.name.toUpperCase()}_IMAGE` : "IMAGE";
    return `// ${buildCommand(repo, ecosystem)}\nconst ${name} = "${imageOf(repo, ecosystem)}";`;
  });
  const names = [
    ...(stages.some((text) => text.includes("files(")) ? ["files"] : []),
    "run",
    ...(stages.some((text) => text.includes("extends Stage")) ? ["Stage"] : []),
    ...(stages.some((text) => text.includes("= stage(")) ? ["stage"] : []),
  ];
  return [
    `import { ${names.join(", ")} } from "bettertest";`,
    "",
    "// The images hold the repo as it was when they were built. Build again after a change:",
    ...images,
    "",
    "// Stages run one after the other, the tasks of a stage side by side, each in a fresh container.",
    stages.join("\n\n"),
    "",
  ].join("\n");
}

function stageClass(name: string, image: string, steps: readonly Step[]): string {
  const tasks = steps.map(
    ({ task, command }) =>
      `  static task_${task}() {\n    return run(${image}, ${JSON.stringify(command)});\n  }`,
  );
  return `export class ${name} extends Stage {\n${tasks.join("\n\n")}\n}`;
}

function perFileStage(
  name: string,
  image: string,
  { glob, command }: { readonly glob: string; readonly command: string },
): string {
  const withFile = command.replace("FILE", "$" + "{file}");
  return [
    "// One task for each test file.",
    `const ${lowerFirst(name)} = stage("${name}");`,
    `for (const file of files("${glob}")) {`,
    `  ${lowerFirst(name)}.task(file, () => run(${image}, \`${withFile}\`));`,
    "}",
  ].join("\n");
}

function lowerFirst(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1);
}

export function dockerfileText(repo: Repo): string {
  const several = repo.ecosystems.length > 1;
  const parts = repo.ecosystems.map((ecosystem) => {
    const [from = "", ...rest] = ecosystem.docker;
    const first = several ? `${from} AS ${ecosystem.name}` : from;
    return [`# ${buildCommand(repo, ecosystem)}`, first, ...rest].join("\n");
  });
  return `# Where the tests run: the tools they need, and the repo.\n${parts.join("\n\n")}\n`;
}

const madeByTools: Readonly<Record<EcosystemName, readonly string[]>> = {
  node: ["**/node_modules"],
  python: ["**/.venv", "**/venv", "**/__pycache__"],
  go: [],
  rust: ["target"],
  make: [],
};

/** Read by BuildKit because of its name, for this Dockerfile alone. */
export function dockerignoreText(repo: Repo): string {
  const made = repo.ecosystems.flatMap(({ name }) => madeByTools[name]);
  return `${["# What a test needs no copy of, and what the image makes by itself.", ".git", ...made].join("\n")}\n`;
}

export const tsconfigText = `${JSON.stringify(
  {
    compilerOptions: {
      target: "es2023",
      // For console, fetch and timers: the types of Node would need a node_modules.
      lib: ["es2023", "dom"],
      module: "preserve",
      moduleResolution: "bundler",
      allowImportingTsExtensions: true,
      strict: true,
      noEmit: true,
      skipLibCheck: true,
    },
    include: ["**/*"],
  },
  null,
  2,
)}\n`;
