// The built program on a real pseudo terminal (python's pty).

import { spawn } from "node:child_process";
import { program } from "./rig.js";

/** Sets the size, runs the command on the terminal, sends what comes on fd 3 as resize or as keys. */
const ptyScript = `
import fcntl, os, pty, select, struct, sys, termios, time
rows, cols = int(sys.argv[1]), int(sys.argv[2])
pid, master = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
    os.execvp(sys.argv[3], sys.argv[3:])
commands = 0
while True:
    ready, _, _ = select.select([master] + ([commands] if commands is not None else []), [], [])
    if commands in ready:
        line = os.read(commands, 100)
        if not line: commands = None
        elif line.startswith(b"key "): os.write(master, bytes([int(line[4:])]))
        elif line.startswith(b"size "):
            r, c = map(int, line[5:].split())
            fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", r, c, 0, 0))
    if master in ready:
        try: data = os.read(master, 65536)
        except OSError: break
        if not data: break
        os.write(1, data)
status = os.waitpid(pid, 0)[1]
sys.exit(os.waitstatus_to_exitcode(status))
`;

export interface TerminalSession {
  readonly ended: Promise<{ readonly exitCode: number; readonly bytes: string }>;
  send(command: string): void;
  shows(text: string): Promise<void>;
}

export function onTerminal(
  args: readonly string[],
  { cwd, rows = 24, columns = 80, env = {} }: PtyOptions,
): TerminalSession {
  const { CI: _, NO_COLOR: __, FORCE_COLOR: ___, ...inherited } = process.env;
  const size = [String(rows), String(columns)];
  const child = spawn("python3", ["-c", ptyScript, ...size, process.execPath, program, ...args], {
    cwd,
    env: { ...inherited, TERM: "xterm-256color", ...env },
    stdio: ["pipe", "pipe", "inherit"],
  });
  let bytes = "";
  const watchers = new Set<() => void>();
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    bytes += text;
    for (const watch of watchers) watch();
  });
  const ended = new Promise<{ exitCode: number; bytes: string }>((resolve) => {
    child.on("close", (code) => resolve({ exitCode: code ?? -1, bytes }));
  });
  return {
    ended,
    send: (command) => child.stdin.write(`${command}\n`),
    shows: (text) =>
      new Promise((resolve, reject) => {
        const watch = () => {
          if (bytes.includes(text)) resolve();
        };
        watchers.add(watch);
        watch();
        void ended.then(() => reject(new Error(`never showed ${text}:\n${bytes}`)));
      }),
  };
}

interface PtyOptions {
  readonly cwd: string;
  readonly rows?: number;
  readonly columns?: number;
  readonly env?: Readonly<Record<string, string>>;
}
