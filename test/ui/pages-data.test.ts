// What the pages of a run, of a comparison and of the history make of what the boss tells.

import assert from "node:assert/strict";
import { test } from "node:test";
import { initialRunPage, updateRunPage } from "../../ui/run-page.js";
import { sourceWords } from "../../ui/source-words.js";
import { compareRuns } from "../../ui/views/compare-runs.js";
import { ordered, statsOf } from "../../ui/views/history-stats.js";
import { findItems, type Item } from "../../ui/views/palette-items.js";
import { rowsOf } from "../../ui/views/task-list.js";
import { red, type Told, tellRun } from "./run-story.js";

const told: Told[] = [
  { stage: "lint", task: "types", from: 0, to: 5 },
  { stage: "unit", task: "cart total", from: 5, to: 9 },
  { stage: "unit", task: "cart coupons", from: 5, to: 9, end: red },
  { stage: "unit", task: "mail", from: 5 },
  { stage: "ship", task: "image" },
];
const words = (rows: ReturnType<typeof rowsOf>) =>
  rows.map((row) => (row.kind === "stage" ? `[${row.stage.name}]` : row.ref.task));

test("stages in order, in each the red ones first", () => {
  const run = tellRun(told);
  const all = [
    "[lint]",
    "types",
    "[unit]",
    "cart coupons",
    "cart total",
    "mail",
    "[ship]",
    "image",
  ];
  assert.deepEqual(words(rowsOf(run, initialRunPage)), all);
});

test("the filter: words in any order, states, and stages that hold none of it left out", () => {
  const run = tellRun(told);
  const byText = updateRunPage(initialRunPage, { type: "filter-text", text: "TOTAL unit" });
  assert.deepEqual(words(rowsOf(run, byText)), ["[unit]", "cart total"]);
  const running = { type: "filter-status", statuses: ["running"] } as const;
  const byState = updateRunPage(initialRunPage, running);
  assert.deepEqual(words(rowsOf(run, byState)), ["[unit]", "mail"]);
  assert.deepEqual(updateRunPage(byState, running), initialRunPage, "chosen again: all of them");
});

test("two runs: what went red, green, slower, came and went", () => {
  const before = tellRun([
    { stage: "u", task: "breaks", from: 0, to: 10 },
    { stage: "u", task: "mended", from: 0, to: 10, end: red },
    { stage: "u", task: "still", from: 0, to: 10, end: red },
    { stage: "u", task: "slow", from: 0, to: 1000 },
    { stage: "u", task: "fast", from: 0, to: 1000 },
    { stage: "u", task: "same", from: 0, to: 1000 },
    { stage: "u", task: "noise", from: 0, to: 3 },
    { stage: "u", task: "gone", from: 0, to: 10 },
  ]);
  const after = tellRun([
    { stage: "u", task: "breaks", from: 0, to: 10, end: red },
    { stage: "u", task: "mended", from: 0, to: 10 },
    { stage: "u", task: "still", from: 0, to: 10, end: red },
    { stage: "u", task: "slow", from: 0, to: 2000 },
    { stage: "u", task: "fast", from: 0, to: 100 },
    { stage: "u", task: "same", from: 0, to: 1100 },
    { stage: "u", task: "noise", from: 0, to: 9 },
    { stage: "u", task: "new", from: 0, to: 10 },
  ]);
  const { same, ...lists } = compareRuns(before, after);
  const names = Object.entries(lists).map(([kind, list]) => [
    kind,
    list.map(({ ref }) => ref.task).join(),
  ]);
  assert.deepEqual(Object.fromEntries(names), {
    wentRed: "breaks",
    stillRed: "still",
    wentGreen: "mended",
    slower: "slow",
    faster: "fast",
    noResult: "",
    added: "new",
    gone: "gone",
  });
  assert.equal(same, 2);
});

test("two runs: a task that was cancelled, skipped or not run yet has not ended as before", () => {
  const results: Partial<Told>[] = [
    { from: 0, to: 10 },
    { from: 0, to: 10, end: red },
    { from: 0, to: 10, end: { status: "cancelled" } },
    { from: 0 },
    {},
  ];
  const kindsOf = (told: Partial<Told>, next: Partial<Told>) => {
    const [before, after] = [told, next].map((one) => tellRun([{ stage: "u", task: "t", ...one }]));
    const { same, ...lists } = compareRuns(before!, after!);
    const kinds = Object.entries(lists).flatMap(([kind, list]) => list.map(() => kind));
    assert.equal(kinds.length + same, 1);
    return kinds[0] ?? "same";
  };
  assert.deepEqual(
    results.map((before) => results.map((after) => kindsOf(before, after)).join(" ")),
    [
      "same wentRed noResult noResult noResult",
      "wentGreen stillRed noResult noResult noResult",
      "wentGreen wentRed same noResult noResult",
      "wentGreen wentRed noResult same noResult",
      "wentGreen wentRed noResult noResult same",
    ],
  );
});

test("most red, most flaky, slowest", () => {
  const task = (name: string, states: string, ms: number) => ({
    stage: "u",
    task: name,
    states,
    ms: [...states].map((letter) => (letter === "-" || letter === "s" ? null : ms)),
  });
  const stats = statsOf({
    pipeline: "demo",
    runs: [],
    tasks: [task("a", "pp-p", 5), task("b", "pfke", 9), task("c", "kkp", 3), task("d", "sp", 90)],
  });
  const first = (order: Parameters<typeof ordered>[1]) => ordered(stats, order)[0]?.task.task;
  assert.deepEqual(
    [first("stages"), first("red"), first("flaky"), first("slow")],
    ["a", "b", "c", "d"],
  );
  const b = stats[1];
  assert.deepEqual([b?.runs, b?.red, b?.flaky, b?.medianMs], [4, 2, 1, 9]);
});

test("the palette finds what holds every word, beginnings of words first", () => {
  const item = (text: string): Item => ({ kind: "task", words: text, detail: "", run: () => {} });
  const items = ["unit.discard", "unit.card total", "unit.mail"].map(item);
  const found = (text: string) => findItems(items, text).map(({ words }) => words);
  assert.deepEqual(found("card"), ["unit.card total", "unit.discard"]);
  assert.deepEqual(found("total UNIT"), ["unit.card total"]);
  assert.equal(found("").length, 3);
  assert.deepEqual(found("nowhere"), []);
});

test("what a run tested, in few words", () => {
  const commit = "0123456789abcdef0123456789abcdef01234567";
  const workspace = { kind: "workspace", tree: "t", files: 12 } as const;
  assert.deepEqual(
    [
      sourceWords({ ...workspace, commit, branch: "main", dirty: true }),
      sourceWords({ ...workspace, commit, dirty: false }),
      sourceWords({ ...workspace, commit: null }),
      sourceWords({ ...workspace, commit: null, dirty: true }),
      sourceWords({ kind: "git", url: "https://host/a/shop.git", ref: "v1", commit, tree: "t" }),
    ],
    [
      "main 0123456789 + changes",
      "0123456789",
      "12 files, not in a repo",
      "12 files, no commit yet",
      "shop v1 0123456789",
    ],
  );
});
