// tsx's own hooks, in the thread for hooks. Most pipedefs import "bettertest" and what Node brings, and nothing else: for
// those it is never loaded, which would take longer than all the rest of a home.

import type { InitializeHook, LoadHook, ResolveHook } from "node:module";

export interface TsxHooks {
  readonly initialize: InitializeHook<unknown>;
  readonly resolve: ResolveHook;
  readonly load: LoadHook;
}

let loading: Promise<TsxHooks> | undefined;

export function tsxHooks(): Promise<TsxHooks> {
  loading ??= start();
  return loading;
}

async function start(): Promise<TsxHooks> {
  // It has no declarations: it is meant for Node's flags.
  const path: string = "tsx/esm";
  const hooks: TsxHooks = await import(path);
  await hooks.initialize({ tsconfig: false });
  return hooks;
}
