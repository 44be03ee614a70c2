// Failed tries make an address wait, longer after each. Whoever has shown a right token there before goes on
// undisturbed: many people may share one address, and one of them must not lock out the others.

import { isIPv6 } from "node:net";

const freeTries = 5;
const firstWaitMs = 1_000;
const longestWaitMs = 60_000;
const forgottenAfterMs = 15 * 60_000;
const mostAddresses = 10_000;
/** From all addresses together, a minute. */
const mostFailures = 300;

interface Tries {
  failures: number;
  blockedUntil: number;
  lastAt: number;
  readonly proven: Set<string>;
}

export class Throttle {
  readonly #byAddress = new Map<string, Tries>();
  #minute = 0;
  #failures = 0;

  /** How long a try with this token, right or wrong, has to wait. */
  waitMs(address: string, token: string | null, now: number): number {
    const tries = this.#byAddress.get(keyOf(address));
    if (token !== null && tries?.proven.has(token)) return 0;
    const own = (tries?.blockedUntil ?? 0) - now;
    const minute = Math.floor(now / 60_000);
    // Whoever has a right one need not wait for all who guess.
    const isFlooded = token === null && minute === this.#minute && this.#failures >= mostFailures;
    const all = isFlooded ? (minute + 1) * 60_000 - now : 0;
    return Math.max(0, own, all);
  }

  /** How long the next try has to wait. */
  failed(address: string, now: number): number {
    const minute = Math.floor(now / 60_000);
    this.#failures = minute === this.#minute ? this.#failures + 1 : 1;
    this.#minute = minute;
    const tries = this.#tries(address, now);
    tries.failures += 1;
    const over = tries.failures - freeTries;
    const waitMs = over < 0 ? 0 : Math.min(longestWaitMs, firstWaitMs * 2 ** over);
    tries.blockedUntil = now + waitMs;
    return waitMs;
  }

  passed(address: string, token: string, now: number): void {
    const tries = this.#tries(address, now);
    tries.failures = 0;
    tries.proven.add(token);
  }

  #tries(address: string, now: number): Tries {
    const key = keyOf(address);
    let tries = this.#byAddress.get(key);
    if (!tries || now - tries.lastAt > forgottenAfterMs) {
      tries = { failures: 0, blockedUntil: 0, lastAt: now, proven: tries?.proven ?? new Set() };
    }
    tries.lastAt = now;
    // The one that was quiet for longest is first, and goes first.
    this.#byAddress.delete(key);
    this.#byAddress.set(key, tries);
    if (this.#byAddress.size > mostAddresses) {
      for (const oldest of this.#byAddress.keys()) {
        this.#byAddress.delete(oldest);
        break;
      }
    }
    return tries;
  }
}

/** Whoever has one IPv6 address has its /64. */
function keyOf(address: string): string {
  if (!isIPv6(address)) return address;
  const { hostname } = new URL(`http://[${address.split("%")[0]}]`);
  const [head = "", tail = ""] = hostname.slice(1, -1).split("::");
  const groups = head === "" ? [] : head.split(":");
  if (hostname.includes("::")) {
    const last = tail === "" ? [] : tail.split(":");
    while (groups.length + last.length < 8) groups.push("0");
    groups.push(...last);
  }
  return groups.slice(0, 4).join(":");
}
