// Sandboxes that outlive a red command, so that people can go in and look. Each goes when its time is over, when
// it is released, when newer ones need its place, or with the worker, whichever comes first. The time stands
// still while somebody is inside, and begins anew when the last one leaves.

import { createHash, randomUUID } from "node:crypto";
import { asError } from "../../lib/as-error.js";
import { formatDuration } from "../../lib/units.js";
import type { KeptMark, KeptSandbox, TerminalRequest } from "../../wire/kept.js";
import type { SandboxDoor } from "../executors/executor.js";
import { KeptTerminal } from "./kept-terminal.js";

export interface KeptOptions {
  /** At a time; of more, the oldest one goes. */
  readonly most: number;
  readonly changed: () => void;
  readonly log: (line: string) => void;
}

export interface SandboxToKeep {
  readonly execution: string;
  readonly forMs: number;
  /** As the command's client knows it. */
  readonly sandbox: string;
  readonly command: string;
  readonly door: SandboxDoor;
  /** Removes every trace of it. Never rejects. */
  readonly dispose: () => Promise<void>;
}

export class KeptGone extends Error {}

interface Kept extends SandboxToKeep {
  readonly id: string;
  until: number;
  timer: NodeJS.Timeout | undefined;
  readonly terminals: Map<string, KeptTerminal>;
  /** Opened and not yet gone. */
  inside: number;
}

/** Of sandboxes that have gone, why. */
const mostReasons = 1_000;
const mostTerminals = 16;
/** An environment takes no longer value. */
const longestCommandChars = 32_000;

export class KeptSandboxes {
  readonly #options: KeptOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #gone = new Map<string, string>();
  readonly #leaving = new Set<Promise<void>>();
  #stopped = false;

  constructor(options: KeptOptions) {
    this.#options = options;
  }

  marks(): KeptMark[] {
    return [...this.#kept.values()].map(markOf);
  }

  /** Null: none is kept here. From now on it is owned here. */
  add(sandbox: SandboxToKeep): KeptMark | null {
    if (this.#stopped || this.#options.most === 0) return null;
    while (this.#kept.size >= this.#options.most) this.#makeRoom();
    const kept: Kept = {
      ...sandbox,
      id: idOf(sandbox.execution),
      until: 0,
      timer: undefined,
      terminals: new Map(),
      inside: 0,
    };
    this.#kept.set(sandbox.execution, kept);
    this.#startTime(kept);
    void this.#rest(kept);
    this.#options.changed();
    return markOf(kept);
  }

  /** Throws KeptGone. */
  get(execution: string): KeptSandbox {
    const kept = this.#find(execution);
    return { ...markOf(kept), terminals: kept.inside };
  }

  async open(execution: string, { size, term }: TerminalRequest): Promise<string> {
    const kept = this.#find(execution);
    if (kept.inside >= mostTerminals) {
      throw new KeptBusy(`${mostTerminals} terminals are open in this sandbox, and no more may be`);
    }
    this.#enter(kept);
    try {
      const command = kept.command.length <= longestCommandChars ? kept.command : null;
      const env = {
        ...(term !== undefined && { TERM: term }),
        ...(command !== null && { BETTERTEST_COMMAND: command }),
      };
      const terminal = await kept.door.enter({ size, env });
      if (this.#kept.get(execution) !== kept) {
        await terminal.hangUp();
        this.#find(execution);
      }
      const id = randomUUID();
      const opened = new KeptTerminal(terminal, {
        closed: () => {
          kept.terminals.delete(id);
          this.#leave(kept);
        },
      });
      kept.terminals.set(id, opened);
      return id;
    } catch (error) {
      this.#leave(kept);
      throw error;
    }
  }

  /** Throws KeptGone. */
  terminal(execution: string, id: string): KeptTerminal {
    const found = this.#find(execution).terminals.get(id);
    if (!found) throw new KeptGone("this terminal is not open any more");
    return found;
  }

  /** Resolves when nothing of it is left. */
  async release(execution: string, why = "it was released"): Promise<void> {
    const kept = this.#kept.get(execution);
    if (!kept) return;
    this.#drop(kept, why);
    await Promise.all(this.#leaving);
  }

  /** What holds them is gone, and so are they. */
  lose(why: string): void {
    for (const kept of [...this.#kept.values()]) this.#drop(kept, why);
  }

  /** Nothing is kept from now on. Resolves when nothing is left. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.lose("the worker was stopped");
    await Promise.all(this.#leaving);
  }

  #find(execution: string): Kept {
    const kept = this.#kept.get(execution);
    if (kept) return kept;
    const why = this.#gone.get(idOf(execution)) ?? "this worker knows nothing of it (any more)";
    throw new KeptGone(`the sandbox is not kept any more: ${why}`);
  }

  #enter(kept: Kept) {
    kept.inside += 1;
    clearTimeout(kept.timer);
    if (kept.inside === 1) this.#options.changed();
  }

  #leave(kept: Kept) {
    kept.inside -= 1;
    if (kept.inside > 0 || this.#kept.get(kept.execution) !== kept) return;
    this.#startTime(kept);
    void this.#rest(kept);
    this.#options.changed();
  }

  #startTime(kept: Kept) {
    clearTimeout(kept.timer);
    kept.until = Date.now() + kept.forMs;
    const over = () => this.#drop(kept, `its ${formatDuration(kept.forMs)} were over`);
    kept.timer = setTimeout(over, kept.forMs);
    kept.timer.unref();
  }

  async #rest(kept: Kept): Promise<void> {
    try {
      await kept.door.rest();
    } catch (error) {
      if (this.#kept.get(kept.execution) !== kept) return;
      this.#options.log(`sandbox ${kept.sandbox} cannot be kept: ${asError(error).message}`);
      this.#drop(kept, asError(error).message);
    }
  }

  /** The oldest, of those that nobody is in where there are such. */
  #makeRoom() {
    const all = [...this.#kept.values()];
    const oldest = all.find(({ inside }) => inside === 0) ?? all[0]!;
    const { most, log } = this.#options;
    log(`sandbox ${oldest.sandbox} is not kept any longer: no more than ${most} are (--max-kept)`);
    this.#drop(oldest, `newer ones needed its place: no more than ${most} are kept (--max-kept)`);
  }

  #drop(kept: Kept, why: string) {
    clearTimeout(kept.timer);
    this.#kept.delete(kept.execution);
    this.#gone.set(kept.id, why);
    if (this.#gone.size > mostReasons) this.#gone.delete(this.#gone.keys().next().value!);
    this.#options.changed();
    const words = `the sandbox is not kept any more: ${why}`;
    for (const terminal of kept.terminals.values()) terminal.end({ problem: words });
    const leaving = kept.dispose().finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
  }
}

export class KeptBusy extends Error {}

function markOf({ id, until, inside }: Kept): KeptMark {
  return { id, until: inside > 0 ? null : until };
}

/** Whoever knows the execution knows this; not the other way round. */
function idOf(execution: string): string {
  return createHash("sha256").update(`kept ${execution}`).digest("hex").slice(0, 16);
}
