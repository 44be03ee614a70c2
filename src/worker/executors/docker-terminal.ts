// A shell in a container, on a terminal or on plain pipes, by the engine's exec.
//
// An exec goes on when the connection to it is gone, and the engine cannot end it. So a small shell comes first:
// it tells its own number, waits until the terminal has its size, and becomes the shell that was asked for.

import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import type Docker from "dockerode";
import { within } from "../../lib/or-else.js";
import type { TerminalSize } from "../../wire/kept.js";
import { createFrameReader } from "./demux.js";
import { answered, engineWords, statusOf } from "./docker-errors.js";
import {
  type EnterOptions,
  ExecutorFault,
  type SandboxTerminal,
  type TerminalChunk,
} from "./executor.js";

/** How long the first words of a shell may take. */
const beginMs = 20_000;
const mostFirstBytes = 4096;
/** The engine tells the exit code a moment after the output has ended. */
const codeWithinMs = 10_000;
const lookEveryMs = 20;
const hangUpMs = 2_000;

export async function openDockerTerminal(
  container: Docker.Container,
  { size, env }: EnterOptions,
): Promise<SandboxTerminal> {
  const token = randomBytes(12).toString("hex");
  const isTerminal = size !== undefined;
  const script = [
    `printf '${token}%d\\n' $$`,
    "read -r _",
    `printf '${token}\\n'`,
    "command -v bash >/dev/null 2>&1 && exec bash",
    "exec sh",
  ].join("; ");
  let exec: Docker.Exec;
  let stream: Duplex;
  try {
    exec = await answered(
      container.exec({
        Cmd: ["sh", "-c", script],
        Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
        AttachStdin: true,
        AttachStdout: true,
        AttachStderr: true,
        Tty: isTerminal,
      }),
    );
    stream = await answered(exec.start({ hijack: true, stdin: true, Tty: isTerminal }));
  } catch (error) {
    throw fault("no shell could be started", error);
  }
  const chunks = readChunks(stream, isTerminal);
  let pid: string;
  let left: TerminalChunk | null;
  try {
    const first = await within(beginMs, readUntil(chunks, `${token}\\d+\\r?\\n`), silent);
    pid = new RegExp(`${token}(\\d+)`).exec(first.found)![1]!;
    if (size) await resizeExec(exec, size);
    stream.write("\n");
    ({ left } = await within(beginMs, readUntil(chunks, `${token}\\r?\\n`), silent));
  } catch (error) {
    stream.destroy();
    throw fault("the shell did not begin", error);
  }

  let isOver = false;
  async function* output(): AsyncGenerator<TerminalChunk> {
    if (left) yield left;
    yield* chunks;
    isOver = true;
  }

  /** From inside: to the engine's machine the number means nothing. */
  async function signal(name: "HUP" | "KILL") {
    const killer = await container.exec({ Cmd: ["sh", "-c", `kill -${name} -${pid} ${pid}`] });
    await killer.start({ Detach: true });
  }

  return {
    output: output(),
    write: (bytes) =>
      new Promise((resolve, reject) => {
        if (stream.destroyed || stream.writableEnded) return resolve();
        const done = () => {
          stream.off("drain", done);
          stream.off("close", done);
          resolve();
        };
        try {
          if (stream.write(bytes)) resolve();
          else {
            stream.on("drain", done);
            stream.on("close", done);
          }
        } catch (error) {
          reject(error);
        }
      }),
    endInput: () => void stream.end(),
    resize: async (to) => {
      if (isTerminal && !isOver) await resizeExec(exec, to);
    },
    async exitCode() {
      for (const deadline = performance.now() + codeWithinMs; ; ) {
        const { Running, ExitCode } = await answered(exec.inspect());
        if (!Running && typeof ExitCode === "number") return ExitCode;
        if (performance.now() > deadline) {
          throw new ExecutorFault("the engine did not say how the shell ended");
        }
        await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
      }
    },
    async hangUp() {
      const ended = new Promise<void>((resolve) => {
        stream.once("close", resolve);
        stream.once("end", resolve);
      });
      if (!isOver && !stream.destroyed) {
        await signal("HUP").catch(() => {});
        stream.resume();
        await within(hangUpMs, ended, () => {});
        await signal("KILL").catch(() => {});
      }
      isOver = true;
      stream.destroy();
    },
  };
}

/** Pulled: what nobody asks for stays with the engine, and then with the program that writes it. */
async function* readChunks(stream: Duplex, isTerminal: boolean): AsyncGenerator<TerminalChunk> {
  const readFrames = createFrameReader();
  const chunks = stream.iterator({ destroyOnReturn: false });
  for await (const given of chunks) {
    const chunk: Buffer = given;
    if (isTerminal) {
      yield { stream: "stdout", bytes: chunk };
      continue;
    }
    const found: TerminalChunk[] = [];
    readFrames(chunk, (number, from, to) => {
      found.push({ stream: number === 2 ? "stderr" : "stdout", bytes: chunk.subarray(from, to) });
    });
    yield* found;
  }
}

/** Takes what comes until the pattern is in it; `left` came behind that. */
async function readUntil(
  chunks: AsyncGenerator<TerminalChunk>,
  pattern: string,
): Promise<{ readonly found: string; readonly left: TerminalChunk | null }> {
  const expression = new RegExp(pattern);
  let came = Buffer.alloc(0);
  for (;;) {
    const { done, value } = await chunks.next();
    if (done) throw new Error(came.toString().trim() || "it ended");
    came = Buffer.concat([came, value.bytes]);
    const match = expression.exec(came.toString("latin1"));
    if (match) {
      const rest = came.subarray(match.index + match[0].length);
      return {
        found: match[0],
        left: rest.length > 0 ? { stream: value.stream, bytes: rest } : null,
      };
    }
    if (came.length > mostFirstBytes) throw new Error(came.toString().slice(0, 200));
  }
}

async function resizeExec(exec: Docker.Exec, { columns, rows }: TerminalSize) {
  try {
    await answered(exec.resize({ w: columns, h: rows }));
  } catch (error) {
    // 409, 404: it has ended meanwhile.
    if (![404, 409, 500].includes(statusOf(error) ?? 0)) throw error;
  }
}

function silent(): never {
  throw new Error(`nothing within ${beginMs / 1000} s`);
}

function fault(what: string, error: unknown): ExecutorFault {
  return new ExecutorFault(`${what} in the sandbox: ${engineWords(error)}`, {
    lost: statusOf(error) === null,
  });
}
