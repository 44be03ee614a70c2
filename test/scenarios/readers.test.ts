// 200 readers of the feed, 20 of which have stopped reading: neither the others nor the boss may feel it.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { type RunningCli, startCli, tempRepo } from "../cli/rig.js";

const pipedef = `import { run, stage } from "bettertest";
const many = stage("many");
stage("s", { t() {} });
for (let n = 0; n < 2500; n++) many.task("t" + n + "x".repeat(200), () => {});`;

const readers = 180;
const stopped = 20;

interface Reader {
  readonly socket: Socket;
  /** When each event came, by its number. */
  readonly heard: Map<number, number>;
}

async function openReader(url: URL, after: number, reads: boolean): Promise<Reader> {
  const socket = connect(Number(url.port), url.hostname);
  const heard = new Map<number, number>();
  await once(socket, "connect");
  socket.write(`GET /api/events?after=${after} HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`);
  if (!reads) {
    socket.pause();
    return { socket, heard };
  }
  let rest = "";
  socket.setEncoding("latin1").on("data", (text: string) => {
    const now = performance.now();
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const seq = /^id: (\d+)/.exec(line)?.[1];
      if (seq !== undefined) heard.set(Number(seq), now);
    }
  });
  return { socket, heard };
}

function rssMiB(up: RunningCli): number {
  const status = readFileSync(`/proc/${up.child.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

/** An event of a run that is over, and its number. */
async function makeEvent(url: URL, pinned: boolean): Promise<number> {
  await fetch(new URL(`/api/runs/1/${pinned ? "pin" : "unpin"}`, url), { method: "POST" });
  const snapshot = await fetch(new URL("/api/runs/1", url));
  return ((await snapshot.json()) as { seq: number }).seq;
}

async function startRun(url: URL): Promise<void> {
  const body = JSON.stringify({ only: ["s.t"] });
  const headers = { "content-type": "application/json" };
  const started = await fetch(new URL("/api/runs", url), { method: "POST", headers, body });
  const { run } = (await started.json()) as { run: number };
  await (await fetch(new URL(`/api/runs/${run}/events`, url))).text();
}

/** How long after the quickest reader the others hear of an event. */
function delays(all: readonly Reader[], from: number, to: number): number[] {
  const found: number[] = [];
  for (let seq = from + 1; seq <= to; seq++) {
    const times = all.map(({ heard }) => heard.get(seq) ?? Number.NaN);
    assert.ok(times.every(Number.isFinite), `event ${seq} has not reached all`);
    const first = Math.min(...times);
    found.push(...times.map((time) => time - first));
  }
  return found;
}

function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? 0;
}

async function allHeard(all: readonly Reader[], seq: number): Promise<void> {
  while (!all.every(({ heard }) => heard.has(seq))) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

test("20 of 200 readers have stopped: the others hear as fast, and memory is bounded", {
  skip: process.platform !== "linux" && "reads /proc",
}, async (t) => {
  using repo = tempRepo({ ".bettertest/pipedef.ts": pipedef });
  const up = startCli(
    ["up", "--executor", "process", "--port", "0", "--worker-port", "0", "--concurrent-runs", "1"],
    { cwd: repo.folder },
  );
  const sockets: Socket[] = [];
  try {
    const url = new URL(
      /boss\s+(http\S+)/.exec(await up.prints(/boss\s+http\S+[\s\S]*stops/))![1]!,
    );
    // What a reader from the beginning on gets is more than its socket holds.
    for (let n = 0; n < 16; n++) await startRun(url);
    let pinned = false;
    const flip = () => {
      pinned = !pinned;
      return pinned;
    };
    let last = await makeEvent(url, flip());
    const all = await Promise.all(
      Array.from({ length: readers }, () => openReader(url, last, true)),
    );
    sockets.push(...all.map(({ socket }) => socket));
    const measure = async (): Promise<number[]> => {
      const from = last;
      for (let n = 0; n < 40; n++) {
        last = await makeEvent(url, flip());
        await allHeard(all, last);
      }
      return delays(all, from, last);
    };
    const without: number[] = [];
    const during: number[] = [];
    await measure();
    const rssBefore = rssMiB(up);
    let rssDuring = 0;
    // By turns, so that what else the machine does falls on both alike.
    for (let turn = 0; turn < 5; turn++) {
      without.push(...(await measure()));
      const idle = await Promise.all(
        Array.from({ length: stopped }, () => openReader(url, 0, false)),
      );
      sockets.push(...idle.map(({ socket }) => socket));
      await measure();
      during.push(...(await measure()));
      rssDuring = Math.max(rssDuring, rssMiB(up));
      for (const { socket } of idle) socket.destroy();
      await measure();
    }
    const [middle, middleDuring] = [quantile(without, 0.5), quantile(during, 0.5)];
    t.diagnostic(
      `delay, median/p95 in ms: ${middle.toFixed(2)}/${quantile(without, 0.95).toFixed(2)} without, ` +
        `${middleDuring.toFixed(2)}/${quantile(during, 0.95).toFixed(2)} with stopped readers, ` +
        `ratio ${(middleDuring / middle).toFixed(2)}; memory ${rssBefore.toFixed(0)} -> ${rssDuring.toFixed(0)} MiB`,
    );
    assert.ok(middleDuring < middle * 2 + 5);
    assert.ok(rssDuring - rssBefore < stopped * 2 + 100, `${rssBefore} -> ${rssDuring} MiB`);
  } finally {
    for (const socket of sockets) socket.destroy();
    up.child.kill("SIGTERM");
    await up.ended;
  }
});
