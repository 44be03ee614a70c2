// Whatever tasks print and whatever things are called, a terminal gets text, line breaks, tabs and colours.

import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import fc from "fast-check";
import type { RunCreated, RunEvent } from "../../src/model/events.js";
import { applyEvent, newRun, type Run } from "../../src/model/run.js";
import { renderFrame } from "../../src/terminal/frame.js";
import { eachLine } from "../../src/terminal/output.js";
import { createPlainView } from "../../src/terminal/plain-view.js";
import { createStyle } from "../../src/terminal/style.js";
import { summaryLines } from "../../src/terminal/summary.js";
import { harmlessLine, harmlessText, oneLine } from "../../src/terminal/text.js";
import { cutAt, cuts, fuzz, fuzzAsync, streamOf, textOf } from "./fuzz.js";

const esc = "\u001b";
const hostile = textOf(
  [
    ...["a", "word", "日", "👩‍👧", " ", "\t", ";", "8", "m", "\\"],
    ...[esc, `${esc}[`, `${esc}[31m`, `${esc}[2J`, `${esc}[m`, `${esc}[?1049h`, `${esc}[6n`],
    ...[
      `${esc}]`,
      `${esc}]8;;http://x`,
      `${esc}]52;c;`,
      `${esc}]0;`,
      `${esc}\\`,
      `${esc}P`,
      `${esc}c`,
    ],
    ...["\u0007", "\b", "\0", "\r", "\r\n", "\n", "\v", "\f", "\u007f"],
    ...["\u009b", "\u009d", "\u0090", "\u009c", "\u0085", "\u2028", "\u202e", "\u2066", "\u061c"],
  ],
  10,
);

const colour = new RegExp(`${esc}\\[[\\d;:]*m`, "g");

/** Not made from the code under test: what may be there, all else may not. */
function actsOn(shown: string, { colours }: { readonly colours: boolean }): string | undefined {
  const text = colours ? shown.replace(colour, "") : shown;
  return [...text].find((char) => {
    const code = char.codePointAt(0)!;
    if (char === "\n" || char === "\t") return false;
    return (
      code < 0x20 ||
      (code >= 0x7f && code < 0xa0) ||
      // Of format characters only those that join and shape: scripts and emoji need them.
      (/\p{Bidi_Control}|\p{Zl}|\p{Zp}/u.test(char) && code !== 0x200d)
    );
  });
}

fuzz("of a line nothing but text and colours remains", hostile, (text) => {
  for (const colour of [true, false]) {
    const shown = harmlessLine(text, { colour });
    assert.equal(actsOn(shown, { colours: colour }), undefined, JSON.stringify(shown));
    if (shown.includes(esc)) assert.ok(shown.endsWith(`${esc}[0m`), "colours do not end");
  }
});

fuzz("a name stays in one line, and a text keeps its lines", hostile, (text) => {
  const name = oneLine(text);
  assert.equal(actsOn(name, { colours: false }), undefined, JSON.stringify(name));
  assert.ok(!/[\n\t]/.test(name), JSON.stringify(name));
  const shown = harmlessText(text);
  assert.equal(actsOn(shown, { colours: false }), undefined, JSON.stringify(shown));
  assert.equal(shown.split("\n").length, text.split(/\r\n|\n|\r/).length);
});

fuzz("what is harmless stays as it is", fc.string({ unit: "grapheme", maxLength: 20 }), (text) => {
  const plain = text.replace(
    /\p{Cc}|\p{Bidi_Control}|[\u206a-\u206f\u2028\u2029\ufff9-\ufffb]/gu,
    "",
  );
  assert.equal(harmlessLine(plain, { colour: true }), plain);
});

fuzzAsync(
  "lines are the same however the bytes are cut",
  fc.record({ text: hostile, cuts }),
  async ({ text, cuts }) => {
    const bytes = Buffer.from(text);
    const lines: string[] = [];
    for await (const line of eachLine(streamOf(cutAt(bytes, cuts)))) lines.push(line);
    const expected = new TextDecoder().decode(bytes).split("\n");
    if (expected.at(-1) === "") expected.pop();
    assert.deepEqual(lines, expected);
  },
);

const style = createStyle(true);
const names = fc.array(hostile, { minLength: 8, maxLength: 8 });

function hostileRun(texts: readonly string[]): { run: Run; events: RunEvent[] } {
  const [stage, task, other, command, reason, message, by, hint] = texts as string[] & {
    length: 8;
  };
  const created: RunCreated = {
    type: "run-created",
    at: 0,
    pipelineName: task!,
    pipedef: message!,
    keepGoing: false,
    trigger: by!,
  };
  const ref = { stage: stage!, task: task!, attempt: 1, at: 1 };
  const call = { ...ref, call: 1, command: command!, image: hint!, worker: by!, sandbox: hint! };
  const failure = { kind: "exit", command: command!, exitCode: 1 } as const;
  const events: RunEvent[] = [
    {
      type: "run-loaded",
      at: 0,
      pipeline: {
        warnings: [reason!],
        stages: [
          { name: stage!, always: false, tasks: [{ name: task! }, { name: `${other}.` }] },
          { name: `${other}!`, always: false, tasks: [{ name: task! }] },
        ],
      },
    },
    { type: "stage-started", at: 1, stage: stage! },
    { type: "attempt-started", ...ref },
    { type: "call-started", ...call },
    { type: "attempt-finished", ...ref, end: { status: "failed", failure } },
    { type: "attempt-started", ...ref, task: `${other}.` },
    {
      type: "attempt-finished",
      ...ref,
      task: `${other}.`,
      end: { status: "errored", fault: { message: message!, hint: hint! } },
    },
    { type: "stage-finished", at: 2, stage: stage! },
    { type: "cancel-requested", at: 2, by: by! },
    { type: "task-skipped", at: 2, stage: `${other}!`, task: task!, reason: reason! },
    {
      type: "run-finished",
      at: 3,
      verdict: "cancelled",
      fault: { message: message!, hint: hint! },
    },
  ];
  return { run: events.reduce(applyEvent, newRun(1, created)), events };
}

fuzz(
  "nothing in a run acts on the terminal that shows it",
  names,
  (texts) => {
    const { run } = hostileRun(texts);
    const tree = { style, width: 80, now: 5, tick: 1 };
    const shown = [
      ...renderFrame(run, { ...tree, height: 20, cancelling: true }),
      ...summaryLines(run, { style, width: 80, rerunCommand: ({ task }) => `rerun '${task}'` }),
    ];
    for (const line of shown) {
      assert.equal(actsOn(line, { colours: true }), undefined, JSON.stringify(line));
      assert.ok(!line.includes("\n"), JSON.stringify(line));
    }
  },
  { fewer: 25 },
);

fuzzAsync(
  "nor in the lines of a log",
  names,
  async (texts) => {
    const { events } = hostileRun(texts);
    const out = new PassThrough();
    const view = createPlainView({
      out: out as unknown as NodeJS.WriteStream,
      style,
      output: "failed",
      readOutput: () => streamOf([Buffer.from(texts.join(""))]),
      rerunCommand: ({ task }) => `rerun '${task}'`,
      where: texts[0]!,
      pipedef: texts[1]!,
    });
    let run = newRun(1, {
      type: "run-created",
      at: 0,
      pipelineName: "",
      pipedef: "",
      keepGoing: false,
      trigger: "",
    });
    for (const event of events) {
      run = applyEvent(run, event);
      view.event({ seq: 1, run: 1, event }, run);
    }
    await view.finish(run);
    const shown = String(out.read());
    assert.equal(actsOn(shown, { colours: true }), undefined, JSON.stringify(shown));
  },
  { fewer: 25 },
);
