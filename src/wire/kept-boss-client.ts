// How the command line goes through a boss into kept sandboxes. Contract: boss.ts and kept.ts.

import * as z from "zod";
import type { KeptState, KeptView } from "./boss.js";
import type { TrustingInit } from "./fetch-trusting.js";
import {
  OpenedTerminal,
  type TerminalOutput,
  type TerminalRequest,
  type TerminalSize,
} from "./kept.js";
import type { TypedInput } from "./kept-client.js";
import { decodeFrames } from "./terminal-frames.js";

export interface SandboxRef {
  readonly run: number;
  readonly stage: string;
  readonly task: string;
  readonly attempt?: number | undefined;
  readonly call?: number | undefined;
}

/** Rejects as all of a BossClient does. */
export interface KeptBossClient {
  list(): Promise<readonly KeptView[]>;
  get(sandbox: SandboxRef): Promise<KeptState>;
  release(sandbox: SandboxRef): Promise<void>;
  /** Answers with the very sandbox that it is in. */
  open(sandbox: SandboxRef, request: TerminalRequest): Promise<RemoteTerminal>;
}

export interface RemoteTerminal {
  readonly sandbox: SandboxRef;
  /** The last one is `end`; rejects where the connection is lost before it. */
  output(signal: AbortSignal): AsyncGenerator<TerminalOutput>;
  type(input: TypedInput): Promise<void>;
  resize(size: TerminalSize): Promise<void>;
}

/** A sign of life comes every 15 s. */
const silenceMs = 45_000;

const Opened = OpenedTerminal.extend({ attempt: z.number().int(), call: z.number().int() });

const views = z.array(z.custom<KeptView>((value) => typeof value === "object" && value !== null));
const state = z.custom<KeptState>(
  (value) => typeof value === "object" && value !== null && "until" in value,
);

export function createKeptBossClient(
  request: (path: string, init?: TrustingInit) => Promise<Response>,
): KeptBossClient {
  const post = (body: object): TrustingInit => ({
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

  return {
    list: async () => views.parse(await (await request("/api/kept")).json()),
    get: async (sandbox) => state.parse(await (await request(pathOf(sandbox, "kept"))).json()),
    async release(sandbox) {
      await request(pathOf(sandbox, "release"), post({}));
    },
    async open(asked, terminalRequest) {
      const response = await request(pathOf(asked, "terminals"), post(terminalRequest));
      const { terminal, attempt, call } = Opened.parse(await response.json());
      const sandbox = { ...asked, attempt, call };
      const at = (what: string, query = "") =>
        pathOf(sandbox, `terminals/${encodeURIComponent(terminal)}/${what}`, query);
      return {
        sandbox,
        async *output(signal) {
          const silence = new AbortController();
          const either = AbortSignal.any([signal, silence.signal]);
          const { body } = await request(at("output"), { signal: either });
          yield* decodeFrames(untilSilent(body ?? new ReadableStream(), silence));
        },
        async type({ bytes, offset, isLast }) {
          const path = at("input", `offset=${offset}${isLast ? "&end=1" : ""}`);
          const headers = { "content-type": "application/octet-stream" };
          await request(path, { method: "POST", headers, body: bytes });
        },
        async resize(size) {
          await request(at("size"), post(size));
        },
      };
    },
  };
}

function pathOf({ run, stage, task, attempt, call }: SandboxRef, what: string, query = ""): string {
  const place = `${encodeURIComponent(stage)}/${encodeURIComponent(task)}`;
  const which = [
    ...(attempt === undefined ? [] : [`attempt=${attempt}`]),
    ...(call === undefined ? [] : [`call=${call}`]),
    ...(query === "" ? [] : [query]),
  ].join("&");
  return `/api/runs/${run}/tasks/${place}/${what}${which === "" ? "" : `?${which}`}`;
}

async function* untilSilent(chunks: ReadableStream<Uint8Array>, silence: AbortController) {
  const over = () => silence.abort(new Error(`nothing was heard for ${silenceMs / 1000} s`));
  const timer = setTimeout(over, silenceMs);
  try {
    for await (const chunk of chunks) {
      timer.refresh();
      yield chunk;
    }
  } finally {
    clearTimeout(timer);
  }
}
