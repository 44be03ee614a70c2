// The OpenAPI document: the table below is what src/wire/boss.ts says in words.

import * as z from "zod";
import { RerunRequest, StartRunRequest } from "../../wire/boss.js";
import { TerminalRequest, TerminalSize } from "../../wire/kept.js";

interface Operation {
  readonly method: "get" | "post";
  readonly path: string;
  readonly summary: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: z.ZodType;
  readonly answers: Readonly<Record<string, string>>;
  readonly type?:
    | "application/json"
    | "text/event-stream"
    | "text/plain"
    | "application/x-ndjson"
    | "application/octet-stream";
}

const whichSandbox = {
  attempt: "of this attempt (the last whose sandbox was kept)",
  call: "of this command of it (the last one)",
};

export const operations: readonly Operation[] = [
  {
    method: "get",
    path: "/health",
    summary: "Whether the boss is up",
    answers: { 200: "ok" },
    type: "text/plain",
  },
  {
    method: "get",
    path: "/healthz",
    summary: "Whether the boss can do its work",
    answers: { 200: "{ live, ready, reasons }", 503: "not ready, with reasons" },
  },
  {
    method: "get",
    path: "/metrics",
    summary: "Numbers for monitoring, in OpenMetrics",
    answers: { 200: "OpenMetrics" },
    type: "text/plain",
  },
  {
    method: "get",
    path: "/api/pipelines",
    summary: "The pipelines with their stages and tasks",
    answers: { 200: "PipelineView[]" },
  },
  {
    method: "get",
    path: "/api/workers",
    summary: "The workers this boss knows",
    answers: { 200: "WorkerView[]" },
  },
  {
    method: "get",
    path: "/api/events",
    summary: "Everything that happens, as it happens; resumes with Last-Event-ID",
    query: {
      after: "go on after this sequence number",
      together: "1: what is there at once comes as one event, run-events",
    },
    answers: {
      200: "LoggedEvent as data, its type as event, its sequence number as id (together: LoggedEvent[], and the last one's number); also pipelines, workers and health, and alive where nothing else happens",
    },
    type: "text/event-stream",
  },
  {
    method: "post",
    path: "/api/runs",
    summary: "Start a run",
    body: StartRunRequest,
    answers: { 201: "{ run }", 400: "what does not fit", 404: "no such pipeline" },
  },
  {
    method: "get",
    path: "/api/runs",
    summary: "Runs, newest first",
    query: {
      limit: "at most this many (50)",
      before: "older than this run",
      pipeline: "of this pipeline",
    },
    answers: { 200: "RunSummary[]" },
  },
  {
    method: "get",
    path: "/api/runs/{id}",
    summary: "One run with all its tasks",
    answers: { 200: "{ seq, run }", 404: "no such run" },
  },
  {
    method: "get",
    path: "/api/runs/{id}/events",
    summary: "The events of one run; ends after run-finished",
    query: { after: "go on after this sequence number" },
    answers: { 200: "LoggedEvent" },
    type: "text/event-stream",
  },
  {
    method: "post",
    path: "/api/runs/{id}/cancel",
    summary: "Cancel a run",
    answers: { 202: "{ run }", 409: "it has ended" },
  },
  {
    method: "post",
    path: "/api/runs/{id}/pin",
    summary: "Keep a run for ever: it is never deleted to make room",
    answers: { 200: "{ run, pinned }", 404: "no such run" },
  },
  {
    method: "post",
    path: "/api/runs/{id}/unpin",
    summary: "Keep a run no longer than others",
    answers: { 200: "{ run, pinned }", 404: "no such run" },
  },
  {
    method: "post",
    path: "/api/runs/{id}/rerun",
    summary: "Run it again, whole or what did not pass",
    body: RerunRequest,
    answers: { 201: "{ run }", 409: "it has not ended, or everything passed" },
  },
  {
    method: "get",
    path: "/api/runs/{id}/tasks/{stage}/{task}",
    summary: "One task",
    answers: { 200: "TaskState", 404: "no such task" },
  },
  {
    method: "get",
    path: "/api/runs/{id}/tasks/{stage}/{task}/output",
    summary: "What a task printed, byte for byte",
    query: {
      attempt: "which attempt (the last)",
      offset: "from this byte on",
      limit: "at most this many bytes",
      tail: "this many bytes from the end",
      follow: "1: go on until the attempt ends",
    },
    answers: {
      200: "raw bytes; header bettertest-output-length: bytes so far",
      404: "not started",
    },
    type: "text/plain",
  },
  {
    method: "get",
    path: "/api/runs/{id}/tasks/{stage}/{task}/output/marks",
    summary: "Whose bytes are where in a task's output, and when they came",
    query: { attempt: "which attempt (the last)", from: "those at this offset and behind it" },
    answers: {
      200: "{ marks: [offset, atMs, source][] }; source 0 is the task's own code, n its call n",
      404: "not started",
    },
  },
  {
    method: "get",
    path: "/api/runs/{id}/tasks/{stage}/{task}/services/{name}/output",
    summary: "What a service of a task printed, byte for byte",
    query: {
      attempt: "which attempt (the last)",
      call: "of which of its commands (the last that has it)",
      offset: "from this byte on",
      tail: "this many bytes from the end",
      follow: "1: go on until the service ends",
    },
    answers: {
      200: "raw bytes; header bettertest-output-length: bytes so far",
      404: "there is no such service, or nothing of it is kept",
    },
    type: "text/plain",
  },
  {
    method: "get",
    path: "/api/runs/{id}/tasks/{stage}/{task}/output/outline",
    summary: "How far an output goes, and what of it can be folded",
    query: { attempt: "which attempt (the last)", follow: "1: go on until the attempt ends" },
    answers: { 200: "OutputOutline, one a line", 404: "not started" },
    type: "application/x-ndjson",
  },
  {
    method: "get",
    path: "/api/runs/{id}/tasks/{stage}/{task}/output/lines",
    summary: "Lines of an output by their numbers",
    query: {
      attempt: "which attempt (the last)",
      from: "number of the first line (1)",
      count: "at most this many lines (256; 2000 at most)",
    },
    answers: { 200: "OutputLines", 404: "not started" },
  },
  {
    method: "get",
    path: "/api/runs/{id}/tasks/{stage}/{task}/output/search",
    summary: "Numbers of the lines that match",
    query: {
      attempt: "which attempt (the last)",
      q: "what to look for",
      regex: "1: q is a regular expression of JavaScript",
      case: "1: upper and lower case differ",
      from: "begin at this line (1)",
      errors: "1: instead of q, lines that say what went wrong",
    },
    answers: { 200: "OutputMatches, one a line", 400: "no pattern", 404: "not started" },
    type: "application/x-ndjson",
  },
  {
    method: "get",
    path: "/api/runs/{id}/tests",
    summary: "Single tests of a run, from the results files that its commands have written",
    query: {
      verdict: "passed, failed or skipped",
      stage: "of this stage",
      task: "of the task of this name",
      attempt: "of this attempt (the last)",
      call: "of this command of the attempt (all)",
      limit: "at most this many (1000; 10000 at most)",
      skip: "leave out this many",
    },
    answers: { 200: "TestsView", 404: "no such run" },
  },
  {
    method: "get",
    path: "/api/runs/{id}/artifacts",
    summary: "Files that the commands of a run have left, and that were kept",
    query: {
      stage: "of this stage",
      task: "of the task of this name",
      attempt: "of this attempt (the last)",
      call: "of this command of the attempt (all)",
    },
    answers: { 200: "ArtifactsView", 404: "no such run" },
  },
  {
    method: "get",
    path: "/api/runs/{id}/artifacts/{path}",
    summary: "One of them, as a download; its path may hold slashes",
    query: {
      stage: "of this stage",
      task: "of the task of this name",
      attempt: "of this attempt (the last)",
      call: "of this command of the attempt (the last that has left it)",
    },
    answers: { 200: "its bytes", 400: "several tasks have left it", 404: "it is not there" },
    type: "application/octet-stream",
  },
  {
    method: "get",
    path: "/api/kept",
    summary: "Sandboxes of red commands that were kept and can be entered",
    answers: { 200: "KeptView[]" },
  },
  {
    method: "get",
    path: "/api/runs/{id}/tasks/{stage}/{task}/kept",
    summary: "Whether the sandbox of a task is still kept, as its worker says now",
    query: whichSandbox,
    answers: { 200: "KeptState", 404: "there is none (any more), and why" },
  },
  {
    method: "post",
    path: "/api/runs/{id}/tasks/{stage}/{task}/release",
    summary: "Remove a kept sandbox",
    query: whichSandbox,
    answers: { 200: "{ run }", 404: "none was kept" },
  },
  {
    method: "post",
    path: "/api/runs/{id}/tasks/{stage}/{task}/terminals",
    summary: "Start a shell in a kept sandbox",
    query: whichSandbox,
    body: TerminalRequest,
    answers: { 201: "{ terminal, attempt, call }", 404: "it is not kept (any more), and why" },
  },
  {
    method: "get",
    path: "/api/runs/{id}/tasks/{stage}/{task}/terminals/{terminal}/output",
    summary: "What it prints, to be read once: whoever stops reading hangs up",
    query: whichSandbox,
    answers: {
      200: "frames: kind (0 life, 1 stdout, 2 stderr, 3 end), length in 4 bytes, bytes",
      403: "the token may only look",
      404: "it is not open",
    },
    type: "application/octet-stream",
  },
  {
    method: "post",
    path: "/api/runs/{id}/tasks/{stage}/{task}/terminals/{terminal}/input",
    summary: "Type into it; the body is what is typed, up to 64 KiB",
    query: {
      ...whichSandbox,
      offset:
        "number of the first byte among all that were typed; what came before is not typed twice",
      end: "1: nothing more will come",
    },
    answers: { 204: "taken", 404: "it is not open", 503: "it takes no more for now" },
  },
  {
    method: "post",
    path: "/api/runs/{id}/tasks/{stage}/{task}/terminals/{terminal}/size",
    summary: "Tell it how large its window is",
    query: whichSandbox,
    body: TerminalSize,
    answers: { 204: "told", 404: "it is not open" },
  },
  {
    method: "get",
    path: "/api/session",
    summary: "Who asks: the token's name, and whether it may only look",
    answers: { 200: "{ login, name, access, via }" },
  },
  {
    method: "get",
    path: "/api/history",
    summary: "How the tasks of a pipeline did in its last runs, and how long they took",
    query: {
      pipeline: "of this pipeline; may be left out where there is just one",
      limit: "at most this many runs (30)",
      before: "older than this run",
    },
    answers: { 200: "HistoryView", 404: "no such pipeline" },
  },
  {
    method: "get",
    path: "/api/usual",
    summary: "What the tasks of a pipeline usually take: the median of the last runs that passed",
    query: { pipeline: "of this pipeline; may be left out where there is just one" },
    answers: { 200: "UsualView", 404: "no such pipeline" },
  },
  {
    method: "get",
    path: "/api/runs/{id}/tasks/{stage}/{task}/output/diff",
    summary: "How an attempt's output differs from that of an earlier one",
    query: {
      attempt: "which attempt (the last)",
      against: "which earlier one (1)",
      "ignore-times": "1: times, durations and addresses count as equal",
    },
    answers: { 200: "OutputDiff", 404: "not started" },
  },
  {
    method: "get",
    path: "/api/state",
    summary: "For older clients: pipeline and last run",
    answers: { 200: "{ pipeline, run }" },
  },
  {
    method: "post",
    path: "/api/run",
    summary: "For older clients: start a run",
    answers: { 200: "{ run_id }" },
  },
  {
    method: "get",
    path: "/api/run/{id}/events",
    summary: "For older clients: state, stage_started, task_output, task_result, run_done",
    answers: { 200: "events" },
    type: "text/event-stream",
  },
];

const textParameters: ReadonlySet<string> = new Set(["pipeline", "q", "verdict", "stage", "task"]);

export function openApiDocument(version: string): unknown {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of operations) {
    paths[operation.path] = { ...paths[operation.path], [operation.method]: describe(operation) };
  }
  return { openapi: "3.1.0", info: { title: "bettertest boss", version }, paths };
}

function describe({
  path,
  summary,
  query = {},
  body,
  answers,
  type = "application/json",
}: Operation) {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: name === "id" ? "integer" : "string" },
  }));
  const inQuery = Object.entries(query).map(([name, description]) => ({
    name,
    in: "query",
    description,
    schema: { type: textParameters.has(name) ? "string" : "integer" },
  }));
  return {
    summary,
    parameters: [...inPath, ...inQuery],
    ...(body && {
      requestBody: { content: { "application/json": { schema: z.toJSONSchema(body) } } },
    }),
    responses: Object.fromEntries(
      Object.entries(answers).map(([status, description]) => [
        status,
        { description, content: { [Number(status) < 300 ? type : "application/json"]: {} } },
      ]),
    ),
  };
}
