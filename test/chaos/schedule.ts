// What is done to the system, and when: a pure function of the seed, so that a seed replays.

export const faultKinds = [
  "boss-killed",
  "worker-killed",
  "docker-killed",
  "network-refused",
  "network-silent",
  "disk-full",
  "readers-stopped",
  "clock-stepped",
] as const;
export type FaultKind = (typeof faultKinds)[number];

export interface Fault {
  readonly kind: FaultKind;
  /** From the start of the round. */
  readonly atMs: number;
  readonly forMs: number;
  /** Clock: by how much. */
  readonly stepMs: number;
}

export interface ScheduleOptions {
  readonly lengthMs: number;
  readonly leaseMs: number;
  readonly kinds: readonly FaultKind[];
}

/** Whole numbers below 2^32, evenly spread: mulberry32. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const meanGapMs = 2_500;

export function scheduleOf(seed: number, { lengthMs, leaseMs, kinds }: ScheduleOptions): Fault[] {
  const random = randomOf(seed);
  const between = (low: number, high: number) => Math.round(low + random() * (high - low));
  // Shorter and longer than the lease: what is kept and what is given up are different code.
  const cutMs = () =>
    random() < 0.65 ? between(200, leaseMs * 0.6) : between(leaseMs * 1.3, leaseMs * 2);
  const lengths: Record<FaultKind, () => number> = {
    "boss-killed": () => between(50, 2_500),
    "worker-killed": () =>
      random() < 0.8 ? between(50, 2_000) : between(leaseMs * 1.2, leaseMs * 1.6),
    "docker-killed": () => between(100, 3_000),
    "network-refused": cutMs,
    "network-silent": cutMs,
    "disk-full": () => between(1_000, 4_000),
    "readers-stopped": () => between(3_000, 8_000),
    "clock-stepped": () => between(1_000, 5_000),
  };
  const faults: Fault[] = [];
  const busyUntil = new Map<FaultKind, number>();
  for (let atMs = 1_500; ; ) {
    atMs += Math.round(-Math.log(1 - random()) * meanGapMs);
    if (atMs >= lengthMs) return faults;
    const kind = kinds[Math.floor(random() * kinds.length)];
    if (kind === undefined) return faults;
    const fault = { kind, atMs, forMs: lengths[kind](), stepMs: between(-7_200_000, 7_200_000) };
    if (atMs < (busyUntil.get(kind) ?? 0)) continue;
    // A killed one that has just come back is given a moment to be up before it is killed again.
    busyUntil.set(kind, atMs + fault.forMs + 1_500);
    faults.push(fault);
  }
}
