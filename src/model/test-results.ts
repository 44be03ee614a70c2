// What a results file says of single tests, whatever wrote it. Pure, since the page shows it too.

export interface TestCase {
  /** Class, file or suite, as the report has it; "": none. */
  readonly suite: string;
  readonly name: string;
  /** A test that ended with an error is a red test like any other. */
  readonly verdict: TestVerdict;
  readonly ms?: number;
  readonly file?: string;
  readonly line?: number;
  /** What went wrong, or why it was skipped, in a line or a few. */
  readonly message?: string;
  /** All that the report says of a failure. */
  readonly details?: string;
}

export type TestVerdict = "passed" | "failed" | "skipped";

/** Who wrote the report, where that can be told: each has its own way to run one test. */
export type TestFramework = "pytest" | "node" | "jest" | "vitest" | "go" | "surefire";

/** Of all results files of a command. */
export interface TestsSummary {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** The first ones, shortened and without details. */
  readonly failures: readonly TestCase[];
  readonly framework?: TestFramework;
}

export interface ArtifactsSummary {
  readonly files: number;
  readonly bytes: number;
}

/** What a command has left. */
export interface FilesSummary {
  readonly tests?: TestsSummary;
  readonly artifacts?: ArtifactsSummary;
  /** What was not found, left out or not understood, a sentence each. */
  readonly notes: readonly string[];
}

/** One kept file of a run. */
export interface Artifact {
  readonly stage: string;
  readonly task: string;
  readonly attempt: number;
  readonly call: number;
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly executable?: true;
}

export function testLabel({ suite, name }: Pick<TestCase, "suite" | "name">): string {
  return suite === "" || name.startsWith(suite) ? name : `${suite} › ${name}`;
}

/** "test/a.py:12"; null where the report does not say. */
export function testPlace({ file, line }: Pick<TestCase, "file" | "line">): string | null {
  if (file === undefined) return null;
  return line === undefined ? file : `${file}:${line}`;
}

/** "3 tests: 2 passed, 1 failed" */
export function describeTests({ passed, failed, skipped }: TestsSummary): string {
  const all = passed + failed + skipped;
  const parts = [
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(passed > 0 ? [`${passed} passed`] : []),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
  ];
  return `${all} ${all === 1 ? "test" : "tests"}${parts.length > 0 ? `: ${parts.join(", ")}` : ""}`;
}

/** What to type to run just this test, inside the sandbox or beside it; null where nobody knows. */
export function commandOfTest(test: TestCase, framework: TestFramework | undefined): string | null {
  const { suite, name, file } = test;
  switch (framework) {
    case "pytest": {
      const id = pytestId(test);
      return id === null ? null : `pytest ${shellQuoted(id)}`;
    }
    case "node": {
      const only = `node --test --test-name-pattern=${shellQuoted(`^${escaped(name)}$`)}`;
      return file === undefined ? only : `${only} ${shellQuoted(file)}`;
    }
    case "jest":
    case "vitest": {
      const program = framework === "jest" ? "npx jest" : "npx vitest run";
      const words = [program, ...(file === undefined ? [] : [shellQuoted(file)])];
      // Vitest writes "suite > name", and looks for "suite name".
      return `${words.join(" ")} -t ${shellQuoted(escaped(name.replaceAll(" > ", " ")))}`;
    }
    case "go": {
      const pattern = name.split("/").map((part) => `^${escaped(part)}$`);
      return `go test -run ${shellQuoted(pattern.join("/"))} ${shellQuoted(suite || "./...")}`;
    }
    case "surefire":
      return `mvn test -Dtest=${shellQuoted(`${suite}#${name.replace(/[([{].*$/s, "")}`)}`;
    case undefined:
      return null;
    default:
      return framework satisfies never;
  }
}

function pytestId({ suite, name, file }: TestCase): string | null {
  const parts = suite === "" ? [] : suite.split(".");
  // "test.test_models.TestUser": a module, then the classes in it.
  const firstClass = parts.findIndex((part) => /^[A-Z]/.test(part));
  const classes = firstClass < 0 ? [] : parts.slice(firstClass);
  const module = firstClass < 0 ? parts : parts.slice(0, firstClass);
  const path = file ?? (module.length > 0 ? `${module.join("/")}.py` : null);
  return path === null ? null : [path, ...classes, name].join("::");
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

function shellQuoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
