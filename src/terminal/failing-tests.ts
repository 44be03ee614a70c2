// The tests that have failed, one by one: where, what, and what to type to run just them.

import type { TaskRef } from "../model/pipeline.js";
import { taskLabel } from "../model/pipeline.js";
import { eachTask, filesOf, type Run } from "../model/run.js";
import {
  commandOfTest,
  type TestCase,
  type TestFramework,
  testLabel,
  testPlace,
} from "../model/test-results.js";
import { mark } from "./marks.js";
import type { SummaryOptions } from "./summary.js";
import { count, cutText, oneLine } from "./text.js";

const mostShown = 20;
const messageLines = 3;

interface FailingTest {
  readonly ref: TaskRef;
  readonly test: TestCase;
  readonly framework: TestFramework | undefined;
}

/** Empty where no results file names one. */
export function failingTestLines(run: Run, options: SummaryOptions): string[] {
  const failing: FailingTest[] = [];
  let total = 0;
  for (const { ref, task } of eachTask(run)) {
    // One that was red and then passed is told as flaky.
    if (task.status === "passed") continue;
    for (const { tests } of filesOf(task)) {
      total += tests?.failed ?? 0;
      for (const test of tests?.failures ?? []) {
        failing.push({ ref, test, framework: tests?.framework });
      }
    }
  }
  if (total === 0) return [];
  const { style } = options;
  const lines = ["", style.bold(`${count(total, "failing test")}:`)];
  for (const one of failing.slice(0, mostShown)) lines.push("", ...linesOf(one, options));
  const left = total - Math.min(failing.length, mostShown);
  if (left > 0)
    lines.push("", `  … and ${left} more: GET /api/runs/${run.id}/tests?verdict=failed`);
  return lines;
}

function linesOf({ ref, test, framework }: FailingTest, options: SummaryOptions): string[] {
  const { style, width } = options;
  const room = Math.max(20, width - 4);
  const place = testPlace(test);
  const inner = commandOfTest(test, framework);
  const message = (test.message ?? "").split("\n").map((line) => oneLine(line).trimEnd());
  return [
    `  ${mark("failed", style)} ${style.bold(cutText(oneLine(testLabel(test)), room))}`,
    `    ${cutText(oneLine([place, `in ${taskLabel(ref)}`].filter(Boolean).join("  ")), room)}`,
    ...message
      .filter((line) => line.trim() !== "")
      .slice(0, messageLines)
      .map((line) => `    ${cutText(line, room)}`),
    ...(inner === null ? [] : [`    ${style.dim(oneLine(inner))}`]),
    `    ${style.dim(oneLine(options.rerunCommand(ref)))}`,
  ];
}
