// What a pipedef must not do to the process it runs in. In a thread that process is the boss.

import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { bytesOf } from "./output.js";

export interface GuardOptions {
  readonly inThread: boolean;
  /** Ends this home's usefulness, with the reason. */
  readonly giveUp: (error: Error) => void;
  readonly print: (bytes: Uint8Array) => void;
}

export function installGuards({ inThread, giveUp, print }: GuardOptions): void {
  const exit = process.exit.bind(process);
  process.exit = (code) => {
    // Node ends a thread by this very function when an exception gets past every handler. An exception
    // from here would then abort the whole process.
    if (calledByNode()) exit(code);
    const error = new Error(`process.exit(${code ?? ""}) was called`);
    Error.captureStackTrace(error, process.exit);
    giveUp(error);
    throw error;
  };
  if (inThread) {
    refuse(
      process,
      "chdir",
      () => "would move the whole boss. Use absolute paths, or the cwd option of a child process",
    );
    refuse(process, "abort", () => "would end the whole boss");
    const own = [0, -1, process.pid, -process.pid, -ownGroup()];
    refuse(process, "kill", (pid) => own.includes(Number(pid)) && "would hit the whole boss");
    for (const name of ["close", "closeSync"] as const) {
      refuse(
        fs,
        name,
        (fd) => isStandardFd(fd) && "would close a standard stream of the whole boss",
      );
    }
    redirectWrites(print);
  }
  syncBuiltinESMExports();
}

/** The boss's process group, which Node has no call for; its own id where the system does not tell. */
function ownGroup(): number {
  try {
    const afterName = fs.readFileSync("/proc/self/stat", "utf8").replace(/^.*\) /s, "");
    return Number(afterName.split(" ")[2]);
  } catch {
    return process.pid;
  }
}

function calledByNode(): boolean {
  const here: { stack?: string } = {};
  Error.captureStackTrace(here, process.exit);
  const caller = here.stack?.split("\n")[1] ?? "";
  return caller.trim() === "" || /\(?node:internal\/(?!timers|process\/task_queues)/.test(caller);
}

/** Throws where `reason` gives one; else the function does what it always did. */
function refuse(
  holder: object,
  name: string,
  reason: (...given: unknown[]) => string | false,
): void {
  const original: unknown = Reflect.get(holder, name);
  if (typeof original !== "function") return;
  const guarded = function (this: unknown, ...given: unknown[]) {
    const refused = reason(...given);
    if (!refused) return Reflect.apply(original, this, given);
    const error = new Error(
      `${holder === process ? "process" : "fs"}.${name}(${given.map(String).join(", ")}) is refused in a pipedef: it ${refused}`,
    );
    Error.captureStackTrace(error, guarded);
    throw error;
  };
  Object.defineProperty(guarded, "name", { value: name });
  Reflect.set(holder, name, guarded);
}

/** The descriptors 1 and 2 are the boss's; what is written to them belongs to the task. */
function redirectWrites(print: (bytes: Uint8Array) => void): void {
  const { write, writeSync, writeFileSync, appendFileSync } = fs;
  Reflect.set(fs, "writeSync", (fd: unknown, data: unknown, ...rest: unknown[]) => {
    if (!isOutputFd(fd)) return Reflect.apply(writeSync, fs, [fd, data, ...rest]);
    const bytes = writtenPart(data, rest);
    print(bytes);
    return bytes.byteLength;
  });
  Reflect.set(fs, "write", (fd: unknown, data: unknown, ...rest: unknown[]) => {
    if (!isOutputFd(fd)) return Reflect.apply(write, fs, [fd, data, ...rest]);
    const bytes = writtenPart(data, rest);
    print(bytes);
    const done = rest.at(-1);
    if (typeof done === "function") process.nextTick(done, null, bytes.byteLength, data);
  });
  for (const [name, original] of Object.entries({ writeFileSync, appendFileSync })) {
    Reflect.set(fs, name, (file: unknown, data: unknown, ...rest: unknown[]) => {
      if (!isOutputFd(file)) return Reflect.apply(original, fs, [file, data, ...rest]);
      print(bytesOf(data));
    });
  }
}

/** (buffer, offset?, length?, position?), (buffer, { offset, length }) or (text, position?, encoding?). */
function writtenPart(data: unknown, rest: readonly unknown[]): Uint8Array {
  if (typeof data === "string") {
    const encoding = rest[1];
    return bytesOf(data, typeof encoding === "string" ? (encoding as BufferEncoding) : "utf8");
  }
  const bytes = bytesOf(data);
  const [first, second] = rest;
  const offset = typeof first === "number" ? first : 0;
  const length = typeof second === "number" ? second : bytes.byteLength - offset;
  return bytes.subarray(offset, offset + length);
}

function isStandardFd(fd: unknown): boolean {
  return fd === 0 || isOutputFd(fd);
}

function isOutputFd(fd: unknown): boolean {
  return fd === 1 || fd === 2;
}
