// The Test Anything Protocol, versions 12 to 14, with subtests and YAML diagnostics, as node, tap and prove write it.
//
//   TAP version 13
//   # Subtest: arithmetic
//       not ok 1 - adds
//         ---
//         location: '/src/a.test.js:3:1'
//         error: '1 == 2'
//         ...
//       1..1
//   not ok 1 - arithmetic
//   1..1

import {
  BoundedText,
  bounded,
  mostChars,
  placeIn,
  type ReportReader,
  type ReportTaker,
  tidyTest,
} from "./report.js";

interface Level {
  /** Told by a comment before its first test. */
  name: string;
  /** Tests so far, and failed ones among them, deeper ones too. */
  points: number;
  failed: number;
  planned: number | null;
}

interface Point {
  readonly ok: boolean;
  readonly name: string;
  readonly suite: string;
  readonly directive: "skip" | "todo" | null;
  readonly reason: string;
  /** Of what is nested in it. */
  readonly children: Level | null;
}

/** Diagnostics of a test, from "---" on. */
interface Block {
  readonly indent: string;
  readonly text: BoundedText;
  /** Indented like details, but they may be tests: that is known where the block ends. */
  readonly doubtful: string[];
  doubtfulChars: number;
  /** The text without those; null: there are none. */
  sure: string | null;
}

/** A line that tells of a test, a plan or the end, and no detail. */
const telling = /^ *(?:(?:not )?ok\b|1\.\.\d|Bail out!|# Subtest\b)/;
/** A block with more behind a line that tells of a test has lost its end. */
const mostDoubtfulChars = 256 * 1024;
const longestLine = 256 * 1024;
const deepest = 64;

export class TapError extends Error {}

export function createTapReader(taker: ReportTaker): ReportReader {
  return new TapReader(taker);
}

class TapReader implements ReportReader {
  readonly #taker: ReportTaker;
  #rest = "";
  #line = 0;
  /** One a level of indentation. */
  readonly #levels: Level[] = [newLevel("")];
  /** Waits for its diagnostics. */
  #point: Point | null = null;
  #yaml: Block | null = null;
  #sawVersion = false;
  #sawTap = false;
  #bailed = false;

  constructor(taker: ReportTaker) {
    this.#taker = taker;
  }

  /** Nothing stops it from being read. */
  breakOff(): void {}

  push(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop()!;
    if (this.#rest.length > longestLine) this.#rest = this.#rest.slice(0, longestLine);
    for (const line of lines) this.#take(line.replace(/\r$/, ""));
  }

  end(): void {
    if (this.#rest !== "") this.#take(this.#rest.replace(/\r$/, ""));
    this.#rest = "";
    // What was taken for details may have details itself.
    while (this.#yaml) this.#breakBlock(this.#yaml);
    this.#endPoint();
    if (!this.#sawTap) {
      throw new TapError(
        this.#sawVersion
          ? "it ends before its first test and has no plan"
          : "it is neither XML nor TAP: no line of it tells of a test or a plan",
      );
    }
    this.#close(1);
    this.#checkRoot(this.#levels[0]!);
  }

  #take(given: string): void {
    this.#line += 1;
    const line = given.slice(0, longestLine);
    if (this.#bailed) return;
    if (this.#yaml) this.#takeYaml(line, this.#yaml);
    else this.#takeLine(line);
  }

  #takeLine(line: string): void {
    const [, indent = "", text = ""] = /^( *)(.*)$/s.exec(line)!;
    if (this.#point && indent !== "" && text === "---") {
      const text = new BoundedText(mostChars.details);
      this.#yaml = { indent, text, doubtful: [], doubtfulChars: 0, sure: null };
      return;
    }
    if (text === "") return;
    const depth = Math.min(Math.floor(indent.length / 4), deepest);
    if (depth === 0 && /^# duration_ms \d/.test(text)) this.#taker.framework("node");
    const subtest = /^# Subtest(?:: (.*))?$/.exec(text);
    if (subtest) {
      this.#endPoint();
      // In front of the nested lines, as they are indented or not.
      this.#open(depth + 1, unescaped(subtest[1] ?? ""));
      return;
    }
    const plan = /^1\.\.(\d{1,9})(?:\s*|\s*#.*|\s+skip.*)$/i.exec(text);
    if (plan) {
      this.#endPoint();
      this.#sawTap = true;
      this.#at(depth).planned = Number(plan[1]);
      return;
    }
    const point = /^(not )?ok\b(?:\s+\d+)?(?:\s+-)?\s*(.*)$/s.exec(text);
    if (point) this.#takePoint(depth, point[1] === undefined, point[2]!);
    else if (/^TAP version 1[2-4]$/.test(text)) this.#sawVersion = true;
    else if (depth === 0 && text.startsWith("Bail out!")) this.#bail(text.slice(9).trim());
  }

  #takePoint(depth: number, ok: boolean, words: string): void {
    this.#endPoint();
    this.#sawTap = true;
    // A test that ends what was nested deeper.
    const children = this.#levels.length > depth + 1 ? this.#levels[depth + 1]! : null;
    const isBlock = words.endsWith(" {");
    const marked = /(?:^|\s)(?<!\\)#\s*(skip|todo)\b\s*(.*)$/is.exec(words);
    // What is known not to work may well not keep its plan.
    if (marked) this.#levels.length = Math.min(this.#levels.length, depth + 1);
    else this.#close(depth + 1);
    const level = this.#at(depth);
    level.points += 1;
    const description = marked
      ? words.slice(0, marked.index)
      : isBlock
        ? words.slice(0, -2)
        : words;
    const name = unescaped(description.replace(/(?<!\s)\s+# time=\S+$/, "").trim());
    this.#point = {
      ok,
      name,
      suite: this.#suite,
      directive:
        marked?.[1] === undefined ? null : marked[1].toLowerCase() === "skip" ? "skip" : "todo",
      reason: marked?.[2] ?? "",
      children: children && children.points > 0 ? children : null,
    };
    const isRed = !ok && marked === null;
    if (isRed) level.failed += 1;
  }

  #takeYaml(line: string, yaml: Block): void {
    const isTelling = telling.test(line);
    // It has lost its end, as where a program prints into the report.
    if (!line.startsWith(yaml.indent) && isTelling) {
      this.#breakBlock(yaml);
      this.#take(line);
      return;
    }
    const own = line.startsWith(yaml.indent) ? line.slice(yaml.indent.length) : line.trimStart();
    if (own.trimEnd() === "...") {
      this.#endPoint(yaml.text.value);
      return;
    }
    if (isTelling) yaml.sure ??= yaml.text.value;
    yaml.text.add(`${own}\n`);
    if (yaml.sure === null) return;
    yaml.doubtful.push(line);
    yaml.doubtfulChars += line.length + 1;
    if (yaml.doubtfulChars > mostDoubtfulChars) this.#breakBlock(yaml);
  }

  /** It has lost its end, so that what looks like tests in it must be taken for tests. */
  #breakBlock({ doubtful, sure }: Block): void {
    this.#endPoint(sure ?? undefined);
    for (const line of doubtful) this.#take(line);
  }

  /** Tells of the last test, now that all is known of it. */
  #endPoint(given?: string): void {
    const point = this.#point;
    const yaml = given ?? this.#yaml?.text.value ?? "";
    this.#point = null;
    this.#yaml = null;
    if (!point) return;
    const { ok, name, suite, directive, reason, children } = point;
    const isRed = !ok && directive === null;
    // A suite is no test, but where it fails though all in it passed.
    if (children && (!isRed || children.failed > 0)) return;
    const fields = fieldsOf(yaml);
    const place = placeOf(fields) ?? (isRed ? placeIn(yaml, undefined) : null);
    const message = fields.get("error") ?? fields.get("message");
    const duration = fields.get("duration_ms");
    this.#taker.test(
      tidyTest({
        suite,
        name,
        verdict: isRed ? "failed" : directive === null ? "passed" : "skipped",
        ms: duration === undefined ? undefined : Number(duration),
        file: place?.file,
        line: place?.line,
        message: isRed ? message : reason,
        details: isRed ? yaml : undefined,
      }),
    );
  }

  #open(depth: number, name: string): void {
    if (depth > deepest) return;
    // The comment stands at the depth of the tests it announces, or of the one that they are in.
    this.#close(depth);
    while (this.#levels.length < depth) this.#levels.push(newLevel(""));
    this.#levels.push(newLevel(name));
  }

  #at(depth: number): Level {
    while (this.#levels.length <= depth) this.#levels.push(newLevel(""));
    return this.#levels[depth]!;
  }

  /** Of the tests of the deepest level. */
  get #suite(): string {
    return this.#levels
      .slice(1)
      .map(({ name }) => name)
      .filter((name) => name !== "")
      .join(" › ");
  }

  /** Leaves so many levels. A deeper one needs no plan: that it has come to its end is told by the test around it. */
  #close(levels: number): void {
    while (this.#levels.length > levels) {
      this.#checkPlan(this.#levels.at(-1)!);
      this.#levels.pop();
    }
  }

  #bail(reason: string): void {
    this.#endPoint();
    this.#sawTap = true;
    this.#bailed = true;
    const message = reason === "" ? "the tests gave up" : reason;
    this.#taker.test(tidyTest({ suite: "", name: "Bail out!", verdict: "failed", message }));
  }

  /** Who writes the plan last has not come to its end without one. */
  #checkRoot(root: Level): void {
    if (root.planned !== null || this.#bailed) this.#checkPlan(root);
    else
      this.#failPlan(`there is no plan, so the report may be cut off after ${root.points} tests`);
  }

  #checkPlan({ planned, points }: Level): void {
    if (planned === null || planned === points || this.#bailed) return;
    this.#failPlan(`${planned} tests were planned, and ${points} are in the report`);
  }

  #failPlan(message: string): void {
    const suite = this.#suite;
    this.#taker.test(tidyTest({ suite, name: "plan", verdict: "failed", message }));
  }
}

function newLevel(name: string): Level {
  return { name, points: 0, failed: 0, planned: null };
}

/** "\#" and "\\" stand for themselves. */
function unescaped(text: string): string {
  return text.replace(/\\([#\\])/g, "$1");
}

/** Of the first level: texts, quoted or not, and blocks. No more of YAML than reporters write. */
function fieldsOf(yaml: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  const lines = yaml.split("\n");
  for (let at = 0; at < lines.length; at++) {
    const found = /^(\w+):(?: (.*))?$/.exec(lines[at]!);
    if (!found) continue;
    const [, key, given = ""] = found;
    if (/^[|>][+-]?\d?$/.test(given) || given === "") {
      const block: string[] = [];
      while (at + 1 < lines.length && /^(?: |$)/.test(lines[at + 1]!)) block.push(lines[++at]!);
      const indent = /^ */.exec(block[0] ?? "")![0].length;
      fields.set(
        key!,
        block
          .map((line) => line.slice(indent))
          .join("\n")
          .trimEnd(),
      );
    } else fields.set(key!, unquoted(given.trim()));
  }
  return fields;
}

function unquoted(text: string): string {
  if (/^'.*'$/s.test(text)) return text.slice(1, -1).replaceAll("''", "'");
  if (!/^".*"$/s.test(text)) return text;
  try {
    return String(JSON.parse(text));
  } catch {
    return text.slice(1, -1);
  }
}

function placeOf(fields: ReadonlyMap<string, string>): { file: string; line: number } | null {
  const location = /^(?:file:\/\/)?(.+?):(\d+)(?::\d+)?$/.exec(
    bounded(fields.get("location") ?? "", 4_000),
  );
  if (location) return { file: location[1]!, line: Number(location[2]) };
  const at = fieldsOf(fields.get("at") ?? "");
  const file = at.get("file") ?? at.get("fileName");
  const line = at.get("line") ?? at.get("lineNumber");
  if (file === undefined || line === undefined) return null;
  return { file, line: Number(line) };
}
