// What the pages say of a state, exactly: the views alone, drawn by a real browser from messages as the boss
// would tell them. And whatever a name or a message holds, it stays text, in its own direction.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { TaskEnd } from "../../src/model/failure.js";
import { applyEvent, type Run } from "../../src/model/run.js";
import { summarizeRun } from "../../src/model/run-summary.js";
import type { HistoryView, PipelineView, SessionView } from "../../src/wire/boss.js";
import type { Message } from "../../ui/update.js";
import { historyUrl } from "../../ui/urls.js";
import { noBrowser, type OpenPage, openPage } from "./browser.js";
import { askedFor, red, tellRun } from "./run-story.js";

const now = Date.UTC(2026, 0, 2, 3, 4, 5);

const entry = `
import { h, render } from "preact";
import "./app.css";
import { parseRoute } from "./route.js";
import { initialState } from "./state.js";
import { update } from "./update.js";
import { Shell } from "./views/shell.js";
// Nothing is asked of a boss: all that is known has been told.
globalThis.fetch = () => new Promise(() => {});
globalThis.asked = [];
const actions = new Proxy({}, { get: (_, name) => (...given) => asked.push([name, ...given]) });
globalThis.show = async (path, messages) => {
  const root = document.getElementById("app");
  render(null, root);
  const url = new URL(path, "http://boss");
  const state = messages.reduce(update, initialState(parseRoute(url), ${now}));
  render(h(Shell, { state, actions }), root);
  do await new Promise((resolve) => setTimeout(resolve, 10));
  while ([...document.querySelectorAll(".loading")].some((one) => one.textContent === "Loading..."));
};
`;

const hello = { instance: "a", version: "1", seq: 0, now };
const connected: Message[] = [
  { type: "connected", hello, resumed: false, at: now },
  { type: "runs-loaded", runs: [] },
];

function loaded(run: Run): Message[] {
  return [...connected, { type: "run-loaded", snapshot: { seq: 1, run } }];
}

const errored: TaskEnd = {
  status: "errored",
  fault: { message: "worker http://w:1 did not answer", hint: "Is it running?" },
} as TaskEnd;

function pipelineOf(run: Run, name = "demo"): PipelineView {
  return { name, pipedef: `/${name}/pipedef.ts`, pipeline: run.pipeline, problem: null };
}

describe("the views", { skip: noBrowser }, () => {
  let opened: OpenPage;
  before(async () => {
    const bundle = await build({
      stdin: {
        contents: entry,
        resolveDir: fileURLToPath(new URL("../../../ui/", import.meta.url)),
        loader: "tsx",
      },
      bundle: true,
      write: false,
      outdir: "out",
      format: "iife",
      target: "es2022",
      jsx: "automatic",
      jsxImportSource: "preact",
      logLevel: "error",
    });
    opened = await openPage("about:blank");
    await opened.page.setContent('<!doctype html><div id="app"></div>');
    for (const { path, text } of bundle.outputFiles) {
      if (path.endsWith(".css")) await opened.page.addStyleTag({ content: text });
      else await opened.page.evaluate(text);
    }
  });
  after(() => opened?.[Symbol.asyncDispose]());

  async function show(path: string, messages: readonly Message[]) {
    await opened.page.evaluate(`show(${JSON.stringify(path)}, ${JSON.stringify(messages)})`);
    return {
      /** Of each element that fits, without the pictures of icons. */
      html: (selector: string): Promise<string[]> =>
        opened.page.evaluate(`[...document.querySelectorAll(${JSON.stringify(selector)})].map((element) => {
          const copy = element.cloneNode(true);
          for (const icon of copy.querySelectorAll("svg")) icon.remove();
          return copy.outerHTML;
        })`),
      text: (selector: string): Promise<string[]> =>
        opened.page.evaluate(
          `[...document.querySelectorAll(${JSON.stringify(selector)})].map((element) => element.innerText.replace(/\\s+/g, " ").trim())`,
        ),
    };
  }

  test("a red run: its task, how long it took, why; and what can be done", async () => {
    const run = tellRun(
      [
        { stage: "unit", task: "cart", from: 0, to: 1200, end: red },
        { stage: "unit", task: "mail", from: 0, to: 300 },
      ],
      { end: 1200 },
    );
    const page = await show("/runs/1", loaded({ ...run, status: "failed" }));
    assert.deepEqual(await page.html("[data-task=cart]"), [
      '<a class="task is-shown" href="/runs/1/unit/cart" aria-current="true" data-task="cart" data-status="failed"><bdi class="task-name">cart</bdi><span class="task-status is-failed">failed</span><span class="duration">1.2 s</span><bdi class="reason">exit code 1: false</bdi></a>',
    ]);
    assert.deepEqual(await page.html("[data-task=mail]"), [
      '<a class="task" href="/runs/1/unit/mail" data-task="mail" data-status="passed"><bdi class="task-name">mail</bdi><span class="task-status is-passed unseen">passed</span><span class="duration">0.3 s</span></a>',
    ]);
    assert.deepEqual(await page.html("h1"), [
      '<h1>Run 1 <span class="badge is-failed" data-status="failed">failed</span></h1>',
    ]);
    const buttons = await page.text(".heading button");
    assert.deepEqual(buttons.filter(Boolean), ["Rerun failed", "Rerun"]);
  });

  const cachedOnes = [
    { what: "images", builds: true, made: { kind: "made", image: "i:1" } },
    { what: "files", builds: "files", made: { kind: "files", files: "f0" } },
  ] as const;
  for (const { what, builds, made } of cachedOnes) {
    test(`a task whose ${what} were there already is cached, and leads to the run that made them`, async () => {
      const built = { ...made, cached: true, madeAt: 0 };
      const at = { at: 1, stage: "s", task: "image", attempt: 1, call: 1 } as const;
      const told = tellRun([{ stage: "s", task: "image", from: 0 }], { id: 9 });
      const pipeline = told.pipeline!;
      const run = [
        { type: "run-loaded", at: 0, pipeline } as const,
        { type: "attempt-started", ...at } as const,
        {
          type: "call-started",
          ...at,
          ...{ command: "b", image: "i", worker: "w", sandbox: "s" },
          builds,
        } as const,
        {
          type: "call-finished",
          ...at,
          durationMs: 1,
          outcome: {
            kind: "exited",
            exitCode: 0,
            build: { ...built, by: { run: 7, at: 0, task: "s.image" } },
          },
        } as const,
        { type: "attempt-finished", ...at, end: { status: "passed" } } as const,
      ].reduce(applyEvent, told);
      const page = await show("/runs/9/s/image", loaded(run));
      assert.deepEqual(await page.html(".pane .note"), [
        '<a class="note is-calm" href="/runs/7">cached, made by run 7</a>',
      ]);
      assert.deepEqual(await page.html("[data-task=image] .note"), [
        '<span class="note is-calm">cached, made by run 7</span>',
      ]);
    });
  }

  test("a running one has no verdict yet; one that was errored blames no test", async () => {
    const page = await show(
      "/runs/1",
      loaded(
        tellRun([
          { stage: "s", task: "a", from: now - 2000 },
          { stage: "s", task: "b" },
        ]),
      ),
    );
    assert.deepEqual(await page.html("h1"), [
      '<h1>Run 1 <span class="badge is-running" data-status="running">running</span></h1>',
    ]);
    assert.deepEqual(await page.text(".heading button"), ["", "Notify", "Cancel"]);
    assert.deepEqual(await page.text(".task"), ["a running 2.0 s", "b waiting"]);

    const lost = tellRun([{ stage: "s", task: "a", from: 0, to: 5, end: errored }], { end: 9 });
    const fault = { message: "the pipedef's process ended", hint: "Look at its output." };
    const ended = applyEvent(lost, { type: "run-finished", at: 9, verdict: "errored", fault });
    const other = await show("/runs/1", loaded(ended));
    const [problem] = await other.text(".problem");
    assert.match(
      problem!,
      /^The run could not do its work. No test is to blame. the pipedef's process/,
    );
    assert.deepEqual(await other.text(".badge"), ["errored", "errored"]);
  });

  test("each attempt has its own reason: the red one of a task that passed in the end, too", async () => {
    const run = tellRun(
      [
        { stage: "s", task: "flaky", from: 0, to: 5, end: red, attempt: 1 },
        { stage: "s", task: "flaky", from: 6, to: 9, attempt: 2 },
      ],
      { end: 9 },
    );
    const first = await show("/runs/1/s/flaky?attempt=1", loaded(run));
    assert.deepEqual(await first.html(".why"), [
      '<pre class="why is-failed">exit code 1: false</pre>',
    ]);
    const second = await show("/runs/1/s/flaky", loaded(run));
    assert.deepEqual(await second.html(".why"), []);
  });

  test("where an attempt ran: in its pane, above its lane, and beside the pointer", async () => {
    const run = tellRun(
      [
        { stage: "s", task: "a", from: 0, to: 100, worker: "http://w1:9009" },
        { stage: "s", task: "b", from: 0, to: 100, worker: "https://w2:9009" },
      ],
      { end: 100 },
    );
    const pane = await show("/runs/1/s/b", loaded(run));
    assert.deepEqual(await pane.text(".pane-workers"), ["on w2:9009"]);

    await opened.page.evaluate(`(() => {
      globalThis.painted = [];
      const paint = CanvasRenderingContext2D.prototype.fillText;
      CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
        globalThis.painted.push({ text, y });
        return paint.call(this, text, x, y);
      };
    })()`);
    const timeline = await show("/runs/1/timeline", loaded(run));
    const box = (await opened.page.locator("canvas").boundingBox())!;
    const seen: { text: string; y: number }[] = await opened.page.evaluate("globalThis.painted");
    const label = seen.findLast(({ text }) => text === "w2:9009")!;
    assert.ok(seen.some(({ text }) => text === "w1:9009"));
    await opened.page.mouse.move(box.x + box.width / 2, box.y + label.y + 20);
    await opened.page.locator(".tip").waitFor();
    assert.deepEqual(await timeline.text(".tip"), ["s.b passed in 0.1 s from 0.0 s on on w2:9009"]);
  });

  test("one task of a run that has ended can be run again on what that tested", async () => {
    const told = { stage: "s", task: "a", from: 0, to: 5, end: red };
    await show("/runs/1/s/a", loaded(tellRun([told], { end: 9 })));
    await opened.page.getByRole("button", { name: "Rerun this" }).click();
    await opened.page.getByRole("button", { name: "Run this", exact: true }).click();
    assert.deepEqual(await opened.page.evaluate("globalThis.asked.splice(0)"), [
      ["rerun", 1, { only: ["s.a"] }],
      ["start", { pipeline: "demo", only: ["s.a"] }],
    ]);
    const running = await show("/runs/1/s/a", loaded(tellRun([told])));
    assert.deepEqual(await running.text(".pane-buttons button"), ["Run this"]);
  });

  test("cancelled, and by whom", async () => {
    const run = tellRun([{ stage: "s", task: "a" }]);
    const cancelled = applyEvent(applyEvent(run, { type: "cancel-requested", at: 5, by: "anna" }), {
      type: "run-finished",
      at: 6,
      verdict: "cancelled",
    });
    const page = await show("/runs/1", loaded(cancelled));
    assert.ok((await page.text(".facts span")).includes("cancelled by anna"));
  });

  test("cancelled before its pipedef was loaded: no empty page", async () => {
    const run = applyEvent(askedFor(), { type: "run-finished", at: 6, verdict: "cancelled" });
    const page = await show("/runs/1", loaded(run));
    assert.deepEqual(await page.text("main .quiet.padded"), [
      "It ended before its pipedef was loaded. No task has run.",
    ]);
  });

  test("who may only look can press nothing that starts or cancels", async () => {
    const session: SessionView = { login: true, name: "tv", access: "read", via: "session" };
    const run = tellRun([{ stage: "s", task: "a", from: 0, to: 5, end: red }], { end: 9 });
    const messages: Message[] = [...loaded(run), { type: "session-told", session }];
    const page = await show("/runs/1", messages);
    assert.deepEqual(await page.text(".banner"), [
      "You may look at everything here, and start or cancel nothing.",
    ]);
    const open = await opened.page
      .locator(".heading button:not(:disabled), .pane-heading button:not(:disabled)")
      .count();
    assert.equal(open, 0);
  });

  test("a worker tells which sandboxes wait for commands, and which are kept", async () => {
    const info = { version: "1", executor: "docker", isolated: true, slots: 2, running: 0 };
    const kept = [{ id: "a", until: 5 }];
    const page = await show("/workers", [
      ...connected,
      {
        type: "workers-told",
        workers: [
          {
            url: "http://w:9009",
            status: "connected",
            problem: null,
            info: { ...info, queued: 0, ready: 3, kept, problem: null },
          },
        ],
      },
    ]);
    const told = await page.text(".worker p");
    assert.ok(told.includes("3 sandboxes ready for commands"), told.join());
    assert.ok(told.includes("1 sandbox of red commands kept"), told.join());
  });

  test("a worker whose engine is away has no green tick", async () => {
    const problem = "its engine does not answer";
    const info = { version: "1", executor: "docker", isolated: true, slots: 2, running: 0 };
    const worker = { url: "http://w:9009", status: "connected" } as const;
    const well = { ...info, queued: 0, ready: 0, kept: [], problem: null };
    const workers = [
      { ...worker, info: well, problem: null },
      { ...worker, url: "http://v:9009", info: { ...well, problem }, problem },
    ];
    await show("/workers", [...connected, { type: "workers-told", workers }]);
    const icons = opened.page.locator(".worker .icon");
    const looks = await icons.evaluateAll((all) => all.map((icon) => icon.getAttribute("class")));
    assert.deepEqual(looks, ["icon is-passed", "icon is-errored"]);
  });

  test("why a run waits is said once the boss has told it, and not before", async () => {
    const messages: Message[] = [
      { type: "connected", hello, resumed: false, at: now },
      { type: "runs-loaded", runs: [summarizeRun(askedFor(4)), summarizeRun(askedFor(3))] },
      { type: "pipelines-told", pipelines: [pipelineOf(askedFor())] },
    ];
    const early = await show("/", messages);
    assert.deepEqual(await early.text(".queue-reason"), ["", ""]);
    const queue = { concurrentRuns: 1, waiting: [4] };
    const later = await show("/", [...messages, { type: "queue-told", queue }]);
    const [next, loading] = await later.text(".queue-reason");
    assert.match(next!, /^The next one: 1 run is under way/);
    assert.equal(loading, "Loading its pipedef.");
  });

  test("before the boss has answered, when it is gone, and without any pipeline", async () => {
    const lost: Message = { type: "disconnected", at: now };
    const never = await show("/", [lost]);
    assert.deepEqual(await never.text(".banner"), [
      "Connection lost, trying again. The boss has not answered yet.",
    ]);
    const later = await show("/runs/1", [...loaded(tellRun([{ stage: "s", task: "a" }])), lost]);
    assert.match((await later.text(".banner"))[0]!, /What you see is as it was at/);
    assert.deepEqual(await later.text(".task"), ["a waiting"], "what was known stays");
    const empty = await show("/", [
      ...connected,
      { type: "pipelines-told", pipelines: [] },
      { type: "workers-told", workers: [] },
    ]);
    assert.match((await empty.text("main")).join(), /npx bettertest init npx bettertest up/);
  });

  test("names and messages of any kind stay text, in their own direction, on every page", async () => {
    const evil = `<img src=x onerror="hacked=1">\u202Eevil\u202D \u001b[31m&amp;\u0007</bdi><script>hacked=1</script>`;
    const run: Run = {
      ...tellRun(
        [
          { stage: `s ${evil}`, task: `t ${evil}`, from: 0, to: 400, end: red, worker: evil },
          {
            stage: `s ${evil}`,
            task: `u ${evil}`,
            from: 0,
            to: 400,
            end: { status: "errored", fault: { message: evil, hint: evil } } as TaskEnd,
          },
          { stage: `s ${evil}`, task: `w ${"verylong".repeat(38)}`, from: 0, to: 400 },
        ],
        { end: 500 },
      ),
      cancelledBy: evil,
      sources: [{ kind: "git", url: `https://h/${evil}`, ref: evil, commit: evil, tree: evil }],
    };
    const named: Run = {
      ...run,
      request: { ...run.request, pipelineName: evil, trigger: evil },
      fault: { message: evil, hint: evil } as NonNullable<Run["fault"]>,
    };
    const summary = summarizeRun(named);
    const history: HistoryView = {
      pipeline: evil,
      runs: [summary, { ...summary, id: 2 }],
      tasks: [{ stage: evil, task: evil, states: "fp", ms: [1, 2] }],
    };
    const answer = (data: unknown) => ({ version: "", data, problem: null });
    const messages: Message[] = [
      { type: "connected", hello, resumed: false, at: now },
      { type: "runs-loaded", runs: [{ ...summary, id: 2 }, summary] },
      { type: "run-loaded", snapshot: { seq: 1, run: named } },
      {
        type: "pipelines-told",
        pipelines: [
          { ...pipelineOf(named, evil), problem: evil },
          { ...pipelineOf(named, "b"), pipeline: { stages: [], warnings: [evil] } },
        ],
      },
      {
        type: "workers-told",
        workers: [{ url: `http://${evil}`, status: "lost", info: null, problem: evil }],
      },
      { type: "health-told", health: { ready: false, reasons: [evil] } },
      { type: "asked-in-vain", reason: evil },
      { type: "fetched", url: historyUrl(evil), answer: answer(history) },
      { type: "fetched", url: "/api/runs/1", answer: answer({ seq: 1, run: named }) },
      {
        type: "fetched",
        url: "/api/runs/2",
        answer: answer({
          seq: 1,
          run: { ...named, id: 2, stages: named.stages.map((s) => ({ ...s, tasks: [] })) },
        }),
      },
    ];
    const overlay = { type: "overlay", overlay: { kind: "palette", mode: "all" } } as const;
    const at = (path: string) => path.replace("EVIL", encodeURIComponent(evil));
    const loose: string[] = [];
    for (const [path, more] of [
      ["/", []],
      ["/", [overlay]],
      ["/runs/1", []],
      [at(`/runs/1/${encodeURIComponent(`s ${evil}`)}/${encodeURIComponent(`u ${evil}`)}`), []],
      ["/runs/1/timeline", []],
      [at("/history/EVIL"), []],
      ["/compare/1/2", []],
      ["/workers", []],
      [at("/EVIL"), []],
    ] as const) {
      await show(path, [...messages, ...more]);
      // A text that could turn others around must be alone in an element that keeps its direction to itself.
      const found: string[] = await opened.page.evaluate(`(() => {
        const found = [];
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        let seen = 0;
        for (let node = walker.nextNode(); node; node = walker.nextNode()) {
          if (!node.data.includes("\\u202e")) continue;
          seen += 1;
          let at = node.parentElement;
          while (!/isolate|plaintext/.test(getComputedStyle(at).unicodeBidi) && at !== document.body)
            at = at.parentElement;
          if (at.textContent.trim() !== node.data.trim()) found.push(at.outerHTML.slice(0, 300));
        }
        if (seen === 0) found.push("nothing evil is shown");
        if (document.querySelector("img, script")) found.push("markup");
        if ("hacked" in globalThis) found.push("a script ran");
        return found;
      })()`);
      loose.push(...found.map((one) => `${path.slice(0, 24)}: ${one}`));
    }
    assert.deepEqual(loose, []);
    assert.deepEqual(opened.errors, []);
  });

  test("names of 300 letters, in one word, make no page wider than a phone", async () => {
    const long = "verylongname".repeat(25);
    const told = [
      { stage: long, task: long, from: 0, to: 400, end: red },
      { stage: long, task: `${long}2`, from: 500, to: 900 },
    ];
    const story = tellRun(told, { end: 1000 });
    const run: Run = {
      ...story,
      cancelledBy: long,
      fault: { message: long } as NonNullable<Run["fault"]>,
      request: { ...story.request, pipelineName: long, trigger: long },
    };
    const summary = summarizeRun(run);
    const answer = (data: unknown) => ({ version: "", data, problem: null });
    const history: HistoryView = {
      pipeline: long,
      runs: [summary],
      tasks: [{ stage: long, task: long, states: "f", ms: [1] }],
    };
    const messages: Message[] = [
      { type: "connected", hello, resumed: false, at: now },
      { type: "runs-loaded", runs: [{ ...summary, id: 2 }, summary] },
      { type: "run-loaded", snapshot: { seq: 1, run } },
      { type: "pipelines-told", pipelines: [{ ...pipelineOf(run, long), problem: long }] },
      {
        type: "workers-told",
        workers: [{ url: `http://${long}`, status: "lost", info: null, problem: long }],
      },
      { type: "health-told", health: { ready: false, reasons: [long] } },
      { type: "fetched", url: historyUrl(long), answer: answer(history) },
      { type: "fetched", url: "/api/runs/1", answer: answer({ seq: 1, run }) },
      { type: "fetched", url: "/api/runs/2", answer: answer({ seq: 1, run: { ...run, id: 2 } }) },
    ];
    const wide: string[] = [];
    for (const width of [360, 1280]) {
      await opened.page.setViewportSize({ width, height: 740 });
      for (const path of [
        "/",
        "/runs/1",
        `/runs/1/${long}/${long}`,
        "/runs/1/timeline",
        `/history/${long}`,
        "/compare/1/2",
        "/workers",
        `/${long}`,
      ]) {
        await show(path, messages);
        const excess: number = await opened.page.evaluate(`(() => {
          const main = document.querySelector("main");
          return Math.max(main.scrollWidth - main.clientWidth, document.documentElement.scrollWidth - innerWidth);
        })()`);
        const widest =
          "[...document.querySelectorAll('main *')].filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.virtual, .trend')).slice(0, 4).map((one) => one.tagName + '.' + one.className).join()";
        if (excess > 0)
          wide.push(
            `${path.slice(0, 20)} at ${width}: ${excess}, ${await opened.page.evaluate(widest)}`,
          );
      }
    }
    assert.deepEqual(wide, []);
  });
});
