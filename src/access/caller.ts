// Who sent a request, known to the routes without going through their framework.

import type { Access } from "./token-folder.js";

export interface Caller {
  /** Of the token; "local" where this machine is trusted as a whole. */
  readonly name: string;
  readonly access: Access;
  readonly via: "loopback" | "token" | "session";
  readonly address: string | null;
}

const local: Caller = { name: "local", access: "full", via: "loopback", address: null };

const callers = new WeakMap<Request, Caller>();

export function setCaller(request: Request, caller: Caller): void {
  callers.set(request, caller);
}

/** A request that no guard has seen came from within this process. */
export function callerOf(request: Request): Caller {
  return callers.get(request) ?? local;
}

/** For what is shown of a run: nothing where everybody is the same. */
export function byWhom(caller: Caller): string {
  return caller.via === "loopback" ? "" : ` by ${caller.name}`;
}
