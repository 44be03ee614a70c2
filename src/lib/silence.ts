// A timer for silence. A process that was stopped, suspended or busy finds its timers due before it has read what came
// meanwhile; it would take its own absence for that of the other end. So when the time is up, what has arrived is read
// first.

export interface Silence {
  /** Something was heard. */
  broken(): void;
  stop(): void;
}

/** A connection is taken in one turn of the event loop, read in the next, and answered within one more. */
const turnsToListen = 3;

/** Calls `endured`, once, when nothing is heard for so long. */
export function onSilence(ms: number, endured: () => void): Silence {
  let turn: NodeJS.Immediate | undefined;
  const listen = (turns: number) => {
    turn = setImmediate(() => (turns > 1 ? listen(turns - 1) : endured()));
  };
  const timer = setTimeout(() => listen(turnsToListen), ms);
  return {
    broken() {
      clearImmediate(turn);
      timer.refresh();
    },
    stop() {
      clearImmediate(turn);
      clearTimeout(timer);
    },
  };
}
