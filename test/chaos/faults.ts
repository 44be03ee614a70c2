// Does a schedule to a system, and undoes all of it.

import { connect, type Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import type { Fault, FaultKind } from "./schedule.js";
import { pipelines, type System } from "./system.js";

/** Real time from the first effect of a fault until all of it was undone. */
export interface Wound {
  readonly kind: FaultKind;
  readonly from: number;
  readonly to: number;
}

export async function inflict(system: System, faults: readonly Fault[]): Promise<Wound[]> {
  const startedAt = Date.now();
  const wounds: Wound[] = [];
  await Promise.all(
    faults.map(async (fault) => {
      await wait(Math.max(0, startedAt + fault.atMs - Date.now()));
      const from = Date.now();
      const heal = await hurt(system, fault);
      await wait(fault.forMs);
      await heal();
      wounds.push({ kind: fault.kind, from, to: Date.now() });
    }),
  );
  return wounds.sort((a, b) => a.from - b.from);
}

/** Resolves to what undoes it. */
async function hurt(system: System, { kind, stepMs }: Fault): Promise<() => unknown> {
  const { boss, worker, engine, network, disk, clock } = system;
  switch (kind) {
    case "boss-killed":
      await boss.kill();
      return () => untilStarted(boss);
    case "worker-killed":
      await worker.kill();
      return () => untilStarted(worker);
    case "docker-killed":
      await engine.kill();
      return () => engine.start();
    case "network-refused":
      network.cut();
      return () => network.restore();
    case "network-silent":
      network.stall();
      return () => network.restore();
    case "disk-full":
      disk?.fill();
      return () => disk?.free();
    case "readers-stopped": {
      const readers = stoppedReaders(boss.url);
      return () => {
        for (const reader of readers) reader.destroy();
      };
    }
    case "clock-stepped":
      clock?.step(stepMs);
      return () => clock?.step(0);
    default:
      return kind satisfies never;
  }
}

/** It may refuse to start for as long as something else is broken, the engine or the disk. */
export async function untilStarted(program: { start(): Promise<void> }): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    try {
      return await program.start();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await wait(250);
    }
  }
}

/** They ask for everything, and read nothing. */
function stoppedReaders(bossUrl: string): Socket[] {
  const { hostname, port, host } = new URL(bossUrl);
  const paths = [
    "/api/events?after=0",
    ...pipelines.map((name) => `/api/runs?pipeline=${name}`),
    ...[1, 2, 3].map((run) => `/api/runs/${run}/tasks/late/flood/output?follow=1`),
  ];
  return paths.map((path) => {
    const socket = connect(Number(port), hostname);
    socket.on("error", () => {});
    socket.pause();
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    return socket;
  });
}

/** Whatever a schedule left: everything runs, and nothing stands between. */
export async function healAll(system: System): Promise<void> {
  system.network.restore();
  system.disk?.free();
  system.clock?.step(0);
  await system.engine.start();
  await untilStarted(system.worker);
  await untilStarted(system.boss);
}
