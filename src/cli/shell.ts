// `bettertest shell`: this terminal, or this pipe, becomes that of a shell in a kept sandbox.

import { once } from "node:events";
import { exitCodes } from "../model/exit-code.js";
import { type TaskRef, taskLabel } from "../model/pipeline.js";
import { findTask, type Run } from "../model/run.js";
import { shellWord } from "../model/shell-word.js";
import { reasonOfEnd } from "../terminal/reason.js";
import { oneLine } from "../terminal/text.js";
import type { BossClient } from "../wire/boss-client.js";
import { BossRefused, BossUnreachable } from "../wire/boss-client.js";
import type { TerminalEnd } from "../wire/kept.js";
import type { RemoteTerminal } from "../wire/kept-boss-client.js";
import { infrastructureError } from "./cli-error.js";
import { programName } from "./environment.js";
import { aborted, trapInterrupts } from "./interrupt.js";
import { keptUntil } from "./kept-list.js";
import { borrowTerminal } from "./own-terminal.js";
import { pumpInput } from "./typed-input.js";

export interface ShellOptions {
  readonly attempt: number | undefined;
  readonly call: number | undefined;
  /** It is removed when this shell is left. */
  readonly release: boolean;
  readonly bossArgument: string;
}

export async function enterSandbox(
  client: BossClient,
  run: Run,
  ref: TaskRef,
  { attempt, call, release, bossArgument }: ShellOptions,
): Promise<number> {
  const isTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
  const term = process.env.TERM;
  const kept = await client.kept();
  const terminal = await kept.open(
    { run: run.id, ...ref, attempt, call },
    isTerminal
      ? { size: ownSize(), ...(term !== undefined && /^[\w.+-]{1,64}$/.test(term) && { term }) }
      : {},
  );
  const say = (line: string) => void (isTerminal && process.stderr.write(`${line}\n`));
  for (const line of welcome(run, ref, terminal)) say(line);
  const end = await attend(terminal, isTerminal);
  const name = `${run.id} ${shellWord(oneLine(taskLabel(ref)))}${bossArgument}`;
  if (release) {
    await kept.release(terminal.sandbox);
    say("left, and removed");
  } else if (isTerminal && end !== null && "exitCode" in end) {
    const state = await kept.get(terminal.sandbox).catch(() => null);
    if (state) {
      say(`left; it is kept ${keptUntil(state.until)}`);
      say(`remove it: ${programName()} release ${name}`);
    }
  }
  if (end === null) return exitCodes.cancelled;
  if ("exitCode" in end) return end.exitCode;
  throw infrastructureError(end.problem);
}

function welcome(run: Run, ref: TaskRef, { sandbox }: RemoteTerminal): string[] {
  const attempt = findTask(run, ref)?.attempts[(sandbox.attempt ?? 1) - 1];
  const call = attempt?.calls.find((one) => one.call === sandbox.call);
  const reason = attempt?.end ? ` (${reasonOfEnd(attempt.end)})` : "";
  const secrets =
    call?.secrets && call.secrets.length > 0
      ? [
          `its secrets are in the environment, and nothing is masked here: ${call.secrets.join(", ")}`,
        ]
      : [];
  return [
    `in the sandbox of ${oneLine(taskLabel(ref))}, run ${run.id}${oneLine(reason)}`,
    ...secrets.map(oneLine),
    `the command again: sh -c "$BETTERTEST_COMMAND"; Ctrl-D leaves`,
  ];
}

/** Until the shell ends, or we are told to; null: we were. */
async function attend(terminal: RemoteTerminal, isTerminal: boolean): Promise<TerminalEnd | null> {
  const interrupts = trapInterrupts();
  const own = isTerminal ? borrowTerminal() : null;
  const over = new AbortController();
  interrupts.onExit(() => own?.giveBack({ isBroken: true }));
  void aborted(interrupts.signal).then(() => over.abort());
  let trouble: string | null = null;
  const input = pumpInput(terminal, over.signal, (why) => {
    trouble ??= why;
    over.abort();
  });
  const resized = () => void terminal.resize(ownSize()).catch(() => {});
  if (isTerminal) process.stdout.on("resize", resized);
  let end: TerminalEnd | null = null;
  try {
    for await (const output of terminal.output(over.signal)) {
      if (output.kind === "end") end = output.end;
      else await write(process[output.kind], output.bytes);
    }
  } catch (error) {
    if (interrupts.signal.aborted) return null;
    return { problem: trouble ?? wordsOf(error) };
  } finally {
    over.abort();
    input.stop();
    process.stdout.off("resize", resized);
    own?.giveBack({ isBroken: end === null || !("exitCode" in end) });
    interrupts.stop();
  }
  return end;
}

function wordsOf(error: unknown): string {
  if (error instanceof BossUnreachable || error instanceof BossRefused) return error.message;
  const cause = error instanceof Error ? error.message : String(error);
  return `the connection to the boss was lost (${cause}); what ran in this shell was ended`;
}

async function write(stream: NodeJS.WriteStream, bytes: Uint8Array): Promise<void> {
  if (!stream.write(bytes) && !stream.destroyed) {
    await Promise.race([once(stream, "drain"), once(stream, "close")]);
  }
}

function ownSize() {
  const { columns, rows } = process.stdout;
  return { columns: Math.max(1, columns || 80), rows: Math.max(1, rows || 24) };
}
