import type { Ecosystem, RepoFiles } from "./repo.js";

const markers = [
  "pyproject.toml",
  "setup.py",
  "setup.cfg",
  "requirements.txt",
  "pytest.ini",
  "tox.ini",
];
const testFile = /(^|\/)(test_[^/]+|[^/]+_test)\.py$/;

export function detectPython(files: RepoFiles): Ecosystem | null {
  const because = markers.find((name) => files.has(name));
  if (because === undefined) return null;
  const words = markers.map((name) => files.read(name)).join("\n");
  const tests = files.find(testFile);
  const usesPytest =
    /\bpytest\b/.test(words) || tests.some((path) => /\bpytest\b/.test(files.read(path)));
  const checks = [
    ...(/\bruff\b/.test(words) ? [{ task: "ruff", command: "ruff check ." }] : []),
    ...(/\bmypy\b/.test(words) ? [{ task: "mypy", command: "mypy ." }] : []),
  ];
  const tools = [...(usesPytest ? ["pytest"] : []), ...checks.map(({ task }) => task)];
  const glob = globFor(tests);
  return {
    name: "python",
    because,
    docker: [
      `FROM python:${pythonVersion(files.read("pyproject.toml"))}`,
      "WORKDIR /repo",
      "COPY . .",
      ...installLines(files),
      ...(tools.length > 0 ? [`RUN pip install --no-cache-dir ${tools.join(" ")}`] : []),
    ],
    checks,
    tests: [
      usesPytest
        ? { task: "pytest", command: "pytest" }
        : { task: "unittest", command: "python -m unittest discover" },
    ],
    ...(usesPytest && glob && { perFile: { glob, command: "pytest FILE" } }),
  };
}

/** A pattern for all of them, where there are several and one pattern will do. */
function globFor(tests: readonly string[]): string | null {
  if (tests.length < 2) return null;
  const folders = new Set(tests.map((path) => path.split("/")[0]));
  const [folder] = folders;
  const below = folders.size === 1 && tests.every((path) => path.includes("/"));
  return `${below ? `${folder}/` : ""}**/{test_*,*_test}.py`;
}

function installLines(files: RepoFiles): string[] {
  const lists = [
    "requirements.txt",
    "requirements-dev.txt",
    "requirements_dev.txt",
    "dev-requirements.txt",
  ];
  const found = lists.filter((name) => files.has(name)).map((name) => `-r ${name}`);
  const isPackage =
    files.has("setup.py") || /^\[(build-system|project)\]/m.test(files.read("pyproject.toml"));
  const extras = /^(tests?|dev)\s*=/m.exec(files.read("pyproject.toml"))?.[1];
  const target = isPackage ? [`-e '.${extras ? `[${extras}]` : ""}'`] : [];
  const all = [...found, ...target];
  return all.length === 0 ? [] : [`RUN pip install --no-cache-dir ${all.join(" ")}`];
}

function pythonVersion(pyproject: string): string {
  const minor = Number(/requires-python\s*=\s*["'][^"']*3\.(\d+)/.exec(pyproject)?.[1] ?? 0);
  return `3.${Math.max(12, minor)}`;
}
