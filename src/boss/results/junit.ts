// JUnit XML, in the dialects of those who write it: pytest, jest-junit, vitest, Maven's surefire, gotestsum, Node's
// own reporter, and what is like them. Nobody ever fixed the format; what they agree on is here:
//
//   <testsuites> <testsuite name file> <testsuite> ...      suites in suites, or none at all
//     <testcase classname name time file line>
//       <failure message type>text</failure> | <error> | <skipped>

import type { TestFramework } from "../../model/test-results.js";
import {
  BoundedText,
  bounded,
  mostChars,
  placeIn,
  type ReportReader,
  type ReportTaker,
  tidyTest,
} from "./report.js";
import { type XmlHandler, XmlReader } from "./xml.js";

interface Suite {
  readonly name: string;
  readonly file: string | undefined;
  /** So many failures and errors its attributes name. */
  readonly declared: number;
  /** So many were found in it. */
  found: number;
}

interface OpenTest {
  readonly attributes: ReadonlyMap<string, string>;
  verdict: "passed" | "failed" | "skipped";
  message: string | undefined;
  readonly details: BoundedText;
}

/** Where the text of a test's child goes. */
const telling = new Set(["failure", "error", "skipped"]);
/** What reporters write where they have nothing to say. */
const saysNothing = /^(?:failed|failure|error|test failed)?[.!]?$/i;

export function createJunitReader(taker: ReportTaker): ReportReader {
  const reader = new JunitHandler(taker);
  const xml = new XmlReader(reader);
  return {
    push: (text) => xml.push(text),
    end: () => xml.end(),
    breakOff: () => reader.breakOff(),
  };
}

class JunitHandler implements XmlHandler {
  readonly #taker: ReportTaker;
  readonly #suites: Suite[] = [];
  #test: OpenTest | null = null;
  /** Names of the elements that are open. */
  readonly #path: string[] = [];
  /** A failure right in a suite. */
  #suiteFailure: { message: string | undefined; readonly details: BoundedText } | null = null;

  constructor(taker: ReportTaker) {
    this.#taker = taker;
  }

  open(given: string, attributes: ReadonlyMap<string, string>): void {
    const name = localName(given);
    const parent = this.#path.at(-1);
    if (parent === undefined && name !== "testsuites" && name !== "testsuite") {
      throw new Error(`it is no JUnit report: its first element is <${given.slice(0, 60)}>`);
    }
    this.#path.push(name);
    if (name === "testsuite" || name === "testsuites") {
      const suite = {
        name: attributes.get("name") ?? "",
        file: attributes.get("file") ?? attributes.get("filepath"),
        declared: countIn(attributes, "failures") + countIn(attributes, "errors"),
        found: 0,
      };
      this.#suites.push(suite);
      const framework = frameworkOf(suite.name, attributes);
      if (framework) this.#taker.framework(framework);
    } else if (name === "testcase") {
      const details = new BoundedText(mostChars.details);
      this.#test = { attributes, verdict: "passed", message: undefined, details };
    } else if (name === "property" && attributes.get("name") === "go.version") {
      this.#taker.framework("go");
    } else if (telling.has(name) && parent === "testcase" && this.#test) {
      this.#tell(this.#test, name, attributes);
    } else if ((name === "failure" || name === "error") && parent === "testsuite") {
      this.#suites.at(-1)!.found += 1;
      const message = attributes.get("message") ?? attributes.get("type");
      this.#suiteFailure = { message, details: new BoundedText(mostChars.details) };
    }
  }

  #tell(test: OpenTest, what: string, attributes: ReadonlyMap<string, string>): void {
    const isFailure = what !== "skipped";
    if (isFailure) this.#suites.at(-1)!.found += 1;
    // What failed has failed, whatever else is said of it; and its first reason counts.
    if (test.verdict === "failed") {
      if (isFailure) test.details.add("\n\n");
      return;
    }
    test.verdict = isFailure ? "failed" : "skipped";
    test.message = attributes.get("message");
    if (isFailure && saysNothing.test(test.message?.trim() ?? "")) test.message = undefined;
    if (attributes.get("type") === "testCodeFailure") this.#taker.framework("node");
  }

  text(text: string): void {
    const parent = this.#path.at(-2);
    if (!telling.has(this.#path.at(-1) ?? "")) return;
    if (parent === "testcase") this.#test?.details.add(text);
    else if (parent === "testsuite") this.#suiteFailure?.details.add(text);
  }

  close(given: string): void {
    const name = localName(given);
    this.#path.pop();
    if (name === "testcase" && this.#test) {
      this.#endTest(this.#test);
      this.#test = null;
    } else if (name === "testsuite" || name === "testsuites") this.#endSuite(this.#suites.pop()!);
    else if (this.#path.at(-1) === "testsuite") this.#endSuiteFailure();
  }

  #endSuiteFailure(): void {
    if (!this.#suiteFailure) return;
    const { message, details } = this.#suiteFailure;
    this.#suiteFailure = null;
    this.#failSuite(this.#suites.at(-1)!, message ?? firstLine(details.value), details.value);
  }

  breakOff(): void {
    // One that has not failed so far may yet have; the others have ended.
    if (this.#test?.verdict === "failed") this.#endTest(this.#test);
    this.#endSuiteFailure();
    for (let suite = this.#suites.pop(); suite; suite = this.#suites.pop()) this.#endSuite(suite);
  }

  #endTest({ attributes, verdict, message, details }: OpenTest): void {
    const classname = attributes.get("classname") ?? "";
    // Node names every class "test", or "suite".
    const isNode = /^(?:test|suite)$/.test(classname);
    if (isNode) this.#taker.framework("node");
    const path = this.#suites.map(({ name }) => name).filter((name) => name !== "");
    const name = attributes.get("name") ?? "";
    const suite = classname === "" || isNode ? path.join(" › ") : classname;
    const text = details.value;
    const lineText = attributes.get("line") ?? attributes.get("lineno");
    const known = attributes.get("file") ?? attributes.get("filepath") ?? this.#suites.at(-1)?.file;
    const place = verdict === "failed" ? placeIn(text, known) : null;
    this.#taker.test(
      tidyTest({
        suite,
        name,
        verdict,
        ms: msIn(attributes),
        file: known ?? place?.file,
        line: lineText === undefined ? place?.line : Number(lineText) || undefined,
        message: message ?? firstLine(text),
        details: text,
      }),
    );
  }

  #endSuite(suite: Suite): void {
    // A file that could not even be loaded, where the reporter counts it and names no test.
    const missing = suite.declared - suite.found;
    if (missing > 0) {
      suite.found += missing;
      const what = missing === 1 ? "a failure" : `${missing} failures`;
      this.#failSuite(suite, `the report counts ${what} here that it does not name`, "");
    }
    const outer = this.#suites.at(-1);
    if (outer) outer.found += suite.found;
  }

  #failSuite(suite: Suite, message: string | undefined, details: string): void {
    const place = placeIn(details, suite.file);
    this.#taker.test(
      tidyTest({
        suite: "",
        name: suite.name,
        verdict: "failed",
        file: suite.file ?? place?.file,
        line: place?.line,
        message,
        details,
      }),
    );
  }
}

/** Without a namespace's prefix. */
function localName(name: string): string {
  return name.slice(name.indexOf(":") + 1);
}

function countIn(attributes: ReadonlyMap<string, string>, name: string): number {
  const text = attributes.get(name) ?? "";
  return /^\d{1,9}$/.test(text) ? Number(text) : 0;
}

/** Seconds; with a comma between thousands where surefire writes them. */
function msIn(attributes: ReadonlyMap<string, string>): number | undefined {
  const text = attributes.get("time")?.replaceAll(",", "").trim();
  return text === undefined || text === "" ? undefined : Number(text) * 1000;
}

function firstLine(text: string): string | undefined {
  const lines = text.split("\n", 200).map((line) => line.trim());
  // pytest marks what went wrong; Go and others begin with headings.
  const told =
    lines.find((line) => /^E\s+\S/.test(line))?.replace(/^E\s+/, "") ??
    lines.find((line) => line !== "" && !/^(?:=== |--- )/.test(line)) ??
    lines.find((line) => line !== "");
  return told === undefined ? undefined : bounded(told, mostChars.message);
}

function frameworkOf(
  name: string,
  attributes: ReadonlyMap<string, string>,
): TestFramework | undefined {
  if (name === "pytest" || name === "pytest tests") return "pytest";
  if (name === "jest tests") return "jest";
  if (name === "vitest tests") return "vitest";
  for (const value of attributes.values()) if (/surefire/i.test(value)) return "surefire";
  return undefined;
}
