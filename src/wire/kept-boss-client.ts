// How the command line goes through a boss into kept sandboxes. Contract: boss.ts and kept.ts.

import type { IncomingMessage } from "node:http";
import * as z from "zod";
import type { KeptState, KeptView } from "./boss.js";
import { type Call, get, post, readText, untilSilent } from "./connection.js";
import {
  OpenedTerminal,
  type TerminalOutput,
  type TerminalRequest,
  type TerminalSize,
} from "./kept.js";
import type { TypedInput } from "./kept-client.js";
import { decodeFrames } from "./terminal-frames.js";
import { terminalOpenMs } from "./well-known.js";

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
  request: (call: Call) => Promise<IncomingMessage>,
): KeptBossClient {
  const json = async (call: Call): Promise<unknown> =>
    JSON.parse(await readText(await request(call)));
  const done = async (call: Call) => void (await request(call)).resume();

  return {
    list: async () => views.parse(await json(get("api/kept"))),
    get: async (sandbox) => state.parse(await json(get(pathOf(sandbox, "kept")))),
    release: (sandbox) => done(post(pathOf(sandbox, "release"))),
    async open(asked, terminalRequest) {
      const call = {
        ...post(pathOf(asked, "terminals"), terminalRequest, "once"),
        timeoutMs: terminalOpenMs,
      };
      const { terminal, ...which } = Opened.parse(await json(call));
      const sandbox = { ...asked, ...which };
      const at = (what: string, query = "") =>
        pathOf(sandbox, `terminals/${encodeURIComponent(terminal)}/${what}`, query);
      return {
        sandbox,
        async *output(signal) {
          yield* decodeFrames(untilSilent(await request(get(at("output"), signal)), silenceMs));
        },
        async type({ bytes, offset, isLast }) {
          const path = at("input", `offset=${offset}${isLast ? "&end=1" : ""}`);
          await done({ method: "POST", path, body: bytes });
        },
        resize: (size) => done(post(at("size"), size)),
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
  return `api/runs/${run}/tasks/${place}/${what}${which === "" ? "" : `?${which}`}`;
}
