// What a task prints, on its way to readers of the boss.

import { spawn } from "node:child_process";
import { join } from "node:path";
import type { OutputRequest } from "../src/wire/boss-client.js";
import { type Bench, interleaved, type Pair, quantile, type Row } from "./measure.js";
import { dockerRun, image, type Stand, startStand } from "./stand.js";

const task = (name: string, command: string) =>
  `unit.task("${name}", () => run("${image}", ${JSON.stringify(command)}));`;

export const outputBench: Bench = {
  name: "output",
  what: "throughput and latency of output from a container to readers of the boss",
  needs: ["docker"],

  async run({ rounds, quick, folder }) {
    const bytes = quick ? 9_000_000 : 90_000_000;
    const shared = quick ? 1_000_000 : 10_000_000;
    const flood = (size: number) =>
      `yes 'a line of about as many bytes as most have' | head -c ${size}`;
    const clock = `bash -c 'for ((i = 0; i < ${quick ? 50 : 300}; i++)); do echo $EPOCHREALTIME; sleep 0.01; done'`;
    await using stand = await startStand({
      folder: join(folder),
      executor: "docker",
      pipedef: [
        'import { run, stage } from "bettertest";',
        'const unit = stage("unit");',
        task("flood", flood(bytes)),
        task("shared", `sleep 0.5; ${flood(shared)}`),
        task("clock", `sleep 0.5; ${clock}`),
      ].join("\n"),
    });
    const rows: Row[] = [];

    const megabytesPerSecond = async (received: () => Promise<number>) => {
      const startedAt = performance.now();
      const got = await received();
      if (got < bytes) throw new Error(`${got} of ${bytes} bytes came`);
      return got / 1000 / (performance.now() - startedAt);
    };
    rows.push({
      what: `${bytes / 1e6} MB of short lines, container to a reader of the boss`,
      against: "docker run | cat, with the engine's default log driver",
      unit: "MB/s",
      target: { of: "ratio", atLeast: 6 },
      rounds: await interleaved(
        rounds,
        () => megabytesPerSecond(() => received(stand, "flood", 1)),
        () => megabytesPerSecond(() => printed(flood(bytes))),
      ),
    });

    const ours: number[][] = [];
    const plain: number[][] = [];
    await interleaved(
      rounds,
      async () => ours.push(await latencies((text) => received(stand, "clock", 1, text))),
      async () => plain.push(await latencies((text) => printed(clock, text))),
    );
    for (const [name, q, target] of [
      ["p50", 0.5, { of: "measured", atMost: 3 }],
      ["p99", 0.99, { of: "measured", atMost: 20 }],
    ] as const) {
      rows.push({
        what: `a printed line until a reader of the boss has it, ${name}`,
        against: "docker run piped into the reader",
        unit: "ms",
        target,
        rounds: ours.map(
          (all, index): Pair => ({
            measured: quantile(all, q),
            baseline: quantile(plain[index]!, q),
          }),
        ),
      });
    }

    const cpuOf = async (readers: number) => {
      const before = stand.cpuMs();
      await received(stand, "shared", readers);
      return stand.cpuMs() - before;
    };
    rows.push({
      what: `100 readers of one live output of ${shared / 1e6} MB, CPU of boss and worker`,
      against: "one reader",
      unit: "ms",
      target: { of: "ratio", atMost: 4 },
      rounds: await interleaved(
        rounds,
        () => cpuOf(100),
        () => cpuOf(1),
      ),
    });
    return rows;
  },
};

/** Runs one task, and reads its output while it comes. Resolves with the bytes that one reader got. */
async function received(
  { boss }: Stand,
  name: string,
  readers: number,
  onBytes: (bytes: Uint8Array) => void = () => {},
): Promise<number> {
  const run = await boss.start({ only: [`unit.${name}`] });
  const reading: Promise<number>[] = [];
  for await (const { event } of boss.events(run)) {
    if (event.type !== "attempt-started") continue;
    const request: OutputRequest = { run, stage: "unit", task: name, follow: true };
    for (let n = 0; n < readers; n++) reading.push(countBytes(boss.output(request), onBytes));
  }
  return Math.min(...(await Promise.all(reading)));
}

async function countBytes(
  chunks: AsyncIterable<Uint8Array>,
  onBytes: (bytes: Uint8Array) => void,
): Promise<number> {
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    onBytes(chunk);
  }
  return bytes;
}

async function printed(
  command: string,
  onBytes: (bytes: Uint8Array) => void = () => {},
): Promise<number> {
  const child = spawn("docker", dockerRun(command), { stdio: ["ignore", "pipe", "inherit"] });
  return countBytes(child.stdout, onBytes);
}

/** Milliseconds from the time that a line says to its arrival, sorted. */
async function latencies(
  read: (onBytes: (bytes: Uint8Array) => void) => Promise<unknown>,
): Promise<number[]> {
  const found: number[] = [];
  let rest = "";
  await read((bytes) => {
    const now = performance.timeOrigin + performance.now();
    const lines = (rest + Buffer.from(bytes).toString()).split("\n");
    rest = lines.pop()!;
    for (const line of lines) found.push(now - Number(line) * 1000);
  });
  return found.sort((a, b) => a - b);
}
