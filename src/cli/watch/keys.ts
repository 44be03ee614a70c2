// What a person types while a command watches. Only on a terminal: what is piped in is not meant for us.

export type Key = "all" | "failed" | "stop" | "help" | "quit";

const keys: Readonly<Record<string, Key>> = {
  "\r": "all",
  "\n": "all",
  r: "all",
  a: "all",
  f: "failed",
  s: "stop",
  h: "help",
  "?": "help",
  q: "quit",
  // Ctrl-D, the end of what is typed.
  "\x04": "quit",
};

export const keyHelp = [
  ["Enter, r", "run all, those that failed first"],
  ["f", "run only what failed"],
  ["s", "stop the run"],
  ["q, Ctrl-C", "quit"],
] as const;

/** Until it is closed; the terminal is then as it was. */
export function readKeys(input: NodeJS.ReadStream, onKey: (key: Key) => void): Disposable {
  if (!input.isTTY) return { [Symbol.dispose]: () => {} };
  const onData = (bytes: Buffer) => {
    const text = bytes.toString("latin1");
    // Arrows and the like.
    if (text.startsWith("\x1b")) return;
    for (const letter of text) {
      if (letter === "\x03") process.kill(process.pid, "SIGINT");
      else if (letter === "\x1a") suspend();
      else {
        const key = keys[letter.toLowerCase()];
        if (key) onKey(key);
      }
    }
  };
  const suspend = () => {
    input.setRawMode(false);
    process.once("SIGCONT", () => input.setRawMode(true));
    process.kill(process.pid, "SIGTSTP");
  };
  input.setRawMode(true);
  input.on("data", onData);
  input.resume();
  return {
    [Symbol.dispose]() {
      input.off("data", onData);
      input.setRawMode(false);
      input.pause();
    },
  };
}
