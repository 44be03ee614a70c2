// The witness: every command tells it, over a connection of its own, that it begins and how it will end.
// Nothing of bettertest is on that way. It also decides what a flaky command does.

import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { createInterface } from "node:readline";

export interface LedgerEntry {
  /** Host name of the container: the first 12 digits of its id. */
  readonly sandbox: string;
  /** "pipeline/stage/task". */
  readonly task: string;
  readonly call: number;
  readonly startedAt: number;
  end: { readonly exitCode: number; readonly lines: number; readonly at: number } | null;
}

export interface Ledger extends AsyncDisposable {
  readonly port: number;
  readonly entries: readonly LedgerEntry[];
  /** A run of this pipeline begins: its flaky tasks have not been red yet. */
  beginRun(pipeline: string): void;
}

export async function startLedger(host: string): Promise<Ledger> {
  const entries: LedgerEntry[] = [];
  const beginnings = new Map<string, number>();
  const hasBeenRed = (task: string) => {
    const from = beginnings.get(task.split("/")[0]!) ?? 0;
    return entries.slice(from).some((entry) => entry.task === task && entry.end?.exitCode === 1);
  };
  const server = createServer((socket) => {
    let entry: LedgerEntry | null = null;
    const lines = createInterface({ input: socket });
    // A command that is killed leaves without a word; the reader of lines tells of it once more.
    for (const one of [socket, lines]) one.on("error", () => {});
    lines.on("line", (line) => {
      const [verb, sandbox = "", ...rest] = line.split(" ");
      if (verb === "start") {
        const [task = "", call = ""] = rest;
        const decision = hasBeenRed(task) ? "pass" : "fail";
        entry = { sandbox, task, call: Number(call), startedAt: Date.now(), end: null };
        entries.push(entry);
        socket.write(`${decision}\n`);
      } else if (verb === "end" && entry?.sandbox === sandbox) {
        entry.end = { exitCode: Number(rest[0]), lines: Number(rest[1]), at: Date.now() };
        socket.write("ok\n");
      } else socket.destroy();
    });
  });
  server.listen(0, host);
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    entries,
    beginRun: (pipeline) => void beginnings.set(pipeline, entries.length),
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
}
