// A program on a real pseudo terminal, by python's pty: what is typed is sent to it, what it shows can be waited for.

import { spawn } from "node:child_process";

/** Reads lines of hex (bytes to type) or "size ROWS COLUMNS" on its own input. */
const driver = `
import fcntl, os, pty, select, struct, sys, termios
def size(rows, columns):
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
pid, master = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", int(sys.argv[1]), int(sys.argv[2]), 0, 0))
    os.execvp(sys.argv[3], sys.argv[3:])
rest = b""
sources = [master, 0]
while True:
    ready, _, _ = select.select(sources, [], [])
    if 0 in ready:
        data = os.read(0, 65536)
        if not data: sources.remove(0)
        lines = (rest + data).split(b"\\n")
        rest = lines.pop()
        for line in lines:
            if line.startswith(b"size"): size(*map(int, line.split()[1:]))
            else: os.write(master, bytes.fromhex(line.decode()))
    if master in ready:
        try: data = os.read(master, 65536)
        except OSError: break
        if not data: break
        os.write(1, data)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 255)
`;

/** So that a test says what is there instead. */
const showsWithinMs = 40_000;

export interface PtySession extends Disposable {
  readonly ended: Promise<{ readonly exitCode: number; readonly shown: string }>;
  type(text: string): void;
  resize(rows: number, columns: number): void;
  /** Of what was shown since the last call. */
  shows(wanted: string | RegExp): Promise<string>;
}

export interface PtyOptions {
  readonly cwd: string;
  readonly rows?: number;
  readonly columns?: number;
  readonly env?: Readonly<Record<string, string>>;
}

export function onPty(
  args: readonly string[],
  { cwd, rows = 24, columns = 80, env = {} }: PtyOptions,
): PtySession {
  const { CI: _, NO_COLOR: __, FORCE_COLOR: ___, ...inherited } = process.env;
  const child = spawn("python3", ["-c", driver, String(rows), String(columns), ...args], {
    cwd,
    env: { ...inherited, TERM: "xterm-256color", ...env },
    stdio: ["pipe", "pipe", "inherit"],
  });
  let shown = "";
  let read = 0;
  const watchers = new Set<() => void>();
  child.stdin.on("error", () => {});
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    shown += text;
    for (const watch of watchers) watch();
  });
  const ended = new Promise<{ exitCode: number; shown: string }>((resolve) => {
    child.on("close", (code) => resolve({ exitCode: code ?? -1, shown }));
  });
  return {
    ended,
    type: (text) => void child.stdin.write(`${Buffer.from(text).toString("hex")}\n`),
    resize: (rows, columns) => void child.stdin.write(`size ${rows} ${columns}\n`),
    shows: (wanted) =>
      new Promise((resolve, reject) => {
        const missing = (why: string) => {
          watchers.delete(watch);
          const news = JSON.stringify(shown.slice(read));
          reject(new Error(`${why} ${wanted}:\n${news}`));
        };
        const late = setTimeout(missing, showsWithinMs, "still does not show");
        const watch = () => {
          const news = shown.slice(read);
          const found = typeof wanted === "string" ? news.indexOf(wanted) : news.search(wanted);
          if (found < 0) return;
          watchers.delete(watch);
          clearTimeout(late);
          const length =
            typeof wanted === "string" ? wanted.length : (wanted.exec(news)?.[0].length ?? 0);
          read += found + length;
          resolve(news.slice(0, found + length));
        };
        watchers.add(watch);
        watch();
        void ended.then(() => {
          clearTimeout(late);
          missing("ended without");
        });
      }),
    [Symbol.dispose]: () => void child.kill("SIGKILL"),
  };
}
