// Compares what every command really did, as the ledger has it, with what bettertest says over HTTP.

import { parseSse } from "../../src/lib/sse.js";
import type { LoggedEvent, RunEvent } from "../../src/model/events.js";
import type { TaskEnd } from "../../src/model/failure.js";
import type { AttemptState, Run, TaskState } from "../../src/model/run.js";
import type { OutputMarksView, RunSnapshot } from "../../src/wire/boss.js";
import type { Wound } from "./faults.js";
import type { LedgerEntry } from "./ledger.js";
import { ownLine, plans, type TaskPlan } from "./pipedefs.js";

export interface Evidence {
  readonly bossUrl: string;
  readonly runs: readonly number[];
  /** Of this round. */
  readonly ledger: readonly LedgerEntry[];
  readonly wounds: readonly Wound[];
  readonly shown: ReadonlyMap<number, string>;
  /** Beyond this after a wound, nothing may blame it any more. */
  readonly healedAfterMs: number;
}

export interface Findings {
  readonly violations: string[];
  runs: number;
  tasks: number;
  attempts: number;
  readonly ends: Record<TaskEnd["status"], number>;
  /** Why attempts errored, and how often. */
  readonly faults: Map<string, number>;
  commands: number;
  outputBytes: number;
}

type CallStarted = RunEvent & { type: "call-started" };

interface AttemptContext {
  readonly evidence: Evidence;
  readonly run: Run;
  readonly events: readonly LoggedEvent[];
  readonly stage: string;
  readonly plan: TaskPlan;
  readonly task: TaskState;
  readonly findings: Findings;
  readonly entries: ReadonlyMap<string, LedgerEntry>;
  /** Sandboxes of the ledger that an attempt has accounted for. */
  readonly known: Set<string>;
  /** "task call" of attempts that may have begun a command without having heard of it. */
  readonly unheard: Map<string, number>;
}

export async function check(evidence: Evidence): Promise<Findings> {
  const findings: Findings = {
    violations: [],
    runs: 0,
    tasks: 0,
    attempts: 0,
    ends: { passed: 0, failed: 0, errored: 0, cancelled: 0 },
    faults: new Map(),
    commands: evidence.ledger.length,
    outputBytes: 0,
  };
  const entries = new Map(evidence.ledger.map((entry) => [entry.sandbox, entry]));
  const known = new Set<string>();
  const unheard = new Map<string, number>();
  for (const id of evidence.runs) {
    const response = await fetch(`${evidence.bossUrl}/api/runs/${id}`);
    if (!response.ok) {
      findings.violations.push(`run ${id} was begun, and is not there any more`);
      continue;
    }
    const { run } = (await response.json()) as RunSnapshot;
    const events = await eventsOf(evidence.bossUrl, id);
    findings.runs += 1;
    checkShown(evidence, id, events, findings);
    await checkRun({ evidence, run, events, findings, entries, known, unheard });
  }
  checkUnknown(evidence, known, unheard, findings);
  return findings;
}

async function eventsOf(bossUrl: string, run: number): Promise<LoggedEvent[]> {
  const response = await fetch(`${bossUrl}/api/runs/${run}/events?after=0`);
  const events: LoggedEvent[] = [];
  for await (const { id, data } of parseSse(response.body!)) if (id) events.push(JSON.parse(data));
  return events;
}

/** Stored before anybody hears of it: what a reader was shown is in the history, and nothing was left out. */
function checkShown({ shown }: Evidence, run: number, events: LoggedEvent[], findings: Findings) {
  const complain = (words: string) => findings.violations.push(`run ${run}: ${words}`);
  const stored = new Map(events.map((logged) => [logged.seq, logged]));
  for (const [seq, text] of shown) {
    const logged = JSON.parse(text) as LoggedEvent;
    if (logged.run !== run || JSON.stringify(stored.get(seq)) === JSON.stringify(logged)) continue;
    const now = stored.get(seq)?.event.type ?? "nothing";
    complain(`event ${seq} (${logged.event.type}) was shown, and the history has ${now} there`);
  }
  const [first, last] = [Math.min(...shown.keys()), Math.max(...shown.keys())];
  for (const { seq, event } of events) {
    if (seq <= first || seq >= last || shown.has(seq)) continue;
    complain(`event ${seq} (${event.type}) was not shown to a reader of everything`);
  }
}

async function checkRun(context: Omit<AttemptContext, "stage" | "plan" | "task">): Promise<void> {
  const { run, findings } = context;
  const complain = (words: string) => findings.violations.push(`run ${run.id}: ${words}`);
  if (run.finishedAt === null) return void complain("has not ended");
  if (run.fault) complain(`as a whole errored: ${run.fault.message}`);
  const planned = plans[run.request.pipelineName as keyof typeof plans];
  const seen = new Set<string>();
  for (const [index, { stage, tasks }] of planned.entries()) {
    for (const [position, plan] of tasks.entries()) {
      const task = run.stages[index]?.tasks[position];
      if (!task) {
        if (!run.fault) complain(`has no task ${stage}.${plan.task}`);
        continue;
      }
      findings.tasks += 1;
      seen.add(task.status);
      await checkTask({ ...context, stage, plan, task });
    }
  }
  const verdict = seen.has("failed") ? "failed" : seen.has("errored") ? "errored" : "passed";
  if (!run.fault && run.status !== verdict)
    complain(`is ${run.status}, and its tasks are ${verdict}`);
}

async function checkTask(context: AttemptContext): Promise<void> {
  const { run, stage, plan, task, findings } = context;
  const label = `run ${run.id} ${run.request.pipelineName}/${stage}.${task.name}`;
  const complain = (words: string) => findings.violations.push(`${label}: ${words}`);
  if (task.status !== plan.fate) {
    complain(
      `is ${task.status}${task.skippedBecause ? ` (${task.skippedBecause})` : ""}, and should be ${plan.fate}`,
    );
  }
  if (task.status !== "skipped" && task.attempts.at(-1)?.end?.status !== task.status) {
    complain(`is ${task.status}, and its last attempt ${task.attempts.at(-1)?.end?.status}`);
  }
  const reds = task.attempts.filter(({ end }) => end?.status === "failed").length;
  if (reds > 1) complain(`was tried again ${reds - 1} times although it was red`);
  for (const [index, attempt] of task.attempts.entries()) {
    findings.attempts += 1;
    if (attempt.end) findings.ends[attempt.end.status] += 1;
    await checkAttempt(index + 1, attempt, context, (words) =>
      complain(`attempt ${index + 1} ${words}`),
    );
  }
}

async function checkAttempt(
  number: number,
  attempt: AttemptState,
  context: AttemptContext,
  complain: (words: string) => void,
): Promise<void> {
  const { plan, events, entries, known, unheard, run, stage, task, findings } = context;
  const { end } = attempt;
  if (!end) return complain("has not ended");
  const started = events
    .map(({ event }) => event)
    .filter(
      (event): event is CallStarted =>
        event.type === "call-started" &&
        event.stage === stage &&
        event.task === task.name &&
        event.attempt === number,
    );

  // 1. Its commands: each is in the ledger, once, under this task's name.
  const done = new Map<number, LedgerEntry>();
  const name = `${run.request.pipelineName}/${stage}/${plan.task}`;
  for (const { call, sandbox } of started) {
    if (done.has(call)) complain(`made call ${call} twice`);
    const entry = entries.get(sandbox);
    if (!entry) continue;
    known.add(sandbox);
    if (entry.task !== name || entry.call !== call) {
      complain(`has command ${sandbox}, which is call ${entry.call} of ${entry.task}`);
    }
    done.set(call, entry);
  }
  if (end.status === "errored") {
    for (const call of plan.calls.keys()) {
      const key = `${name} ${call + 1}`;
      if (!started.some((event) => event.call === call + 1))
        unheard.set(key, (unheard.get(key) ?? 0) + 1);
    }
  }

  // 2. Its verdict is what they did.
  const codes = plan.calls.map((_, index) => done.get(index + 1)?.end?.exitCode);
  if (end.status === "passed" && codes.some((code) => code !== 0)) {
    complain(`passed, and its commands ended with ${codes.join(", ")}`);
  }
  if (end.status === "failed") {
    const { failure } = end;
    if (failure.kind !== "exit") complain(`failed by ${JSON.stringify(failure)}`);
    else if (failure.exitCode === 0 || !codes.includes(failure.exitCode)) {
      complain(
        `failed with exit code ${failure.exitCode}, and its commands ended with ${codes.join(", ")}`,
      );
    }
  }
  if (end.status === "cancelled") complain("was cancelled, and nobody asked for that");
  if (end.status === "errored") {
    const reason = end.fault.message.replace(/https?:\S+/, "URL").split("\n")[0]!;
    findings.faults.set(reason, (findings.faults.get(reason) ?? 0) + 1);
  }
  if (end.status === "errored") checkExcuse(attempt, end.fault, context, complain);

  // 3. Its output is what they printed: all of it, once; of a lost attempt the beginning.
  await checkOutput(
    number,
    { started, entries, whole: end.status !== "errored" },
    context,
    complain,
  );
}

/** Errored are only those whose machinery was hurt. */
function checkExcuse(
  { startedAt, finishedAt }: AttemptState,
  fault: { readonly message: string; readonly origin?: string },
  { evidence, run }: AttemptContext,
  complain: (words: string) => void,
) {
  if (fault.origin === "pipedef") complain(`blames the pipedef: ${fault.message}`);
  const hurting = evidence.wounds.filter(
    ({ kind }) => kind !== "readers-stopped" && kind !== "clock-stepped",
  );
  // By a clock that was stepped, nobody can say when it was.
  const isStepped = evidence.wounds.some(({ kind }) => kind === "clock-stepped");
  const overlaps = hurting.some(
    ({ from, to }) =>
      isStepped ||
      (from <= (finishedAt ?? Number.POSITIVE_INFINITY) &&
        to + evidence.healedAfterMs >= startedAt),
  );
  if (!overlaps) complain(`of run ${run.id} errored, and nothing was hurt: ${fault.message}`);
}

async function checkOutput(
  number: number,
  {
    started,
    entries,
    whole,
  }: {
    readonly started: readonly CallStarted[];
    readonly entries: ReadonlyMap<string, LedgerEntry>;
    readonly whole: boolean;
  },
  { evidence, run, stage, plan, task, findings }: AttemptContext,
  complain: (words: string) => void,
): Promise<void> {
  const path = `${evidence.bossUrl}/api/runs/${run.id}/tasks/${stage}/${task.name}/output`;
  const [output, marksAnswer] = await Promise.all([
    fetch(`${path}?attempt=${number}`),
    fetch(`${path}/marks?attempt=${number}`),
  ]);
  if (!output.ok || !marksAnswer.ok) {
    if (whole) complain(`has no output any more: ${await output.text()}`);
    return;
  }
  const bytes = Buffer.from(await output.arrayBuffer());
  const { marks } = (await marksAnswer.json()) as OutputMarksView;
  findings.outputBytes += bytes.length;
  const texts = new Map<number, string>();
  for (const [index, [offset, , source]] of marks.entries()) {
    const part = bytes.subarray(offset, marks[index + 1]?.[0] ?? bytes.length);
    texts.set(source, (texts.get(source) ?? "") + part.toString());
  }
  const attempt = task.attempts[number - 1];
  // The boss that gave it up has not seen how much its predecessor lost; that it did is the reason it gives.
  const isGivenUp =
    attempt?.end?.status === "errored" &&
    attempt.end.fault.message.includes("not all of its output could be stored");
  if (attempt?.output?.missing || isGivenUp) {
    checkGaps(
      bytes,
      attempt?.output?.missing?.bytes ?? 0,
      { whole, started, entries, plan, evidence },
      complain,
    );
    return;
  }
  for (const { call, sandbox } of started) {
    const printed = entries.get(sandbox)?.end?.lines ?? plan.calls[call - 1]!.lines;
    const lines = Array.from({ length: printed }, (_, line) => `${sandbox} ${call} ${line + 1}\n`);
    const truth = lines.join("");
    const told = texts.get(call) ?? "";
    if (whole ? told === truth : truth.startsWith(told)) continue;
    complain(`call ${call}: its output ${difference(told, truth)}`);
  }
  const own = (texts.get(0) ?? "").split("\n").filter((line) => line.startsWith("own "));
  const meant = plan.calls.map((_, index) => ownLine(plan, index + 1));
  const fits = whole
    ? own.join() === meant.join()
    : own.every((line, index) => line === meant[index]);
  if (!fits) complain(`printed by itself: ${own.join(", ")}; and should have: ${meant.join(", ")}`);
}

/** A full disk may cost output, but it is said how much, where, and nothing comes twice. */
function checkGaps(
  bytes: Buffer,
  missingBytes: number,
  {
    whole,
    started,
    entries,
    plan,
    evidence,
  }: {
    readonly whole: boolean;
    readonly started: readonly CallStarted[];
    readonly entries: ReadonlyMap<string, LedgerEntry>;
    readonly plan: TaskPlan;
    readonly evidence: Evidence;
  },
  complain: (words: string) => void,
) {
  if (!evidence.wounds.some(({ kind }) => kind === "disk-full")) {
    complain(`lacks ${missingBytes} bytes of output, and there was room for all of it`);
  }
  const text = bytes.toString();
  const note = /\n\[\d+ bytes are missing here: [^\n]*\]\n/g;
  const kept = text.replace(note, "");
  // The halves of two lines on both sides of a gap are no line.
  const lines = text.replace(note, "\0");
  for (const { call, sandbox } of started) {
    const numbers = [...lines.matchAll(new RegExp(`^${sandbox} ${call} (\\d+)$`, "gm"))].map(
      ([, line]) => Number(line),
    );
    if (numbers.some((line, index) => index > 0 && line <= numbers[index - 1]!)) {
      complain(`call ${call}: its output repeats itself: ${numbers.join(" ")}`);
    }
  }
  // What a red task says of its failure is not for us to count.
  if (!whole || plan.fate === "failed" || plan.flaky) return;
  let printedBytes = 0;
  for (const { call, sandbox } of started) {
    const count = entries.get(sandbox)?.end?.lines ?? 0;
    for (let line = 1; line <= count; line++) printedBytes += `${sandbox} ${call} ${line}\n`.length;
    printedBytes += `${ownLine(plan, call)}\n`.length;
  }
  if (kept.length + missingBytes !== printedBytes) {
    complain(
      `has ${kept.length} bytes of output and says that ${missingBytes} are missing; it printed ${printedBytes}`,
    );
  }
}

function difference(told: string, truth: string): string {
  let same = 0;
  while (same < told.length && told[same] === truth[same]) same += 1;
  const around = (text: string) => JSON.stringify(text.slice(Math.max(0, same - 30), same + 50));
  return `has ${told.length} bytes and not ${truth.length}; they differ from byte ${same} on: ${around(told)} is not ${around(truth)}`;
}

/** No command ran that no attempt knows of. */
function checkUnknown(
  { ledger }: Evidence,
  known: ReadonlySet<string>,
  unheard: Map<string, number>,
  findings: Findings,
) {
  for (const { sandbox, task, call, end } of ledger) {
    if (known.has(sandbox)) continue;
    // Begun, and lost before the boss was told: then there is an attempt without that call.
    const key = `${task} ${call}`;
    const left = unheard.get(key) ?? 0;
    unheard.set(key, left - 1);
    if (left > 0) continue;
    findings.violations.push(
      `command ${sandbox} (call ${call} of ${task}, ${end ? `exit code ${end.exitCode}` : "not ended"}) ran, and no attempt knows of it`,
    );
  }
}
