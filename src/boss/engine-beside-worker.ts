import { createEngine, type Engine } from "./engine.js";
import type { EngineOptions } from "./engine-options.js";

interface OwnWorker {
  readonly url: string;
  info(): { readonly slots: number };
  stop(): Promise<void>;
}

/**
 * An engine and a worker that is its own, started side by side: the worker looks for its container engine
 * while the pipedef loads in its own thread. Where one of them cannot start, the other is ended.
 */
export async function createEngineBesideWorker<Worker extends OwnWorker>(
  options: EngineOptions,
  starting: Promise<Worker> | null,
): Promise<{ readonly engine: Engine; readonly own: Worker | null; close(): Promise<void> }> {
  const [engine, own] = await Promise.allSettled([createEngine(options), starting]);
  if (engine.status === "rejected") {
    await options.homes?.close();
    if (own.status === "fulfilled") await own.value?.stop();
    throw engine.reason;
  }
  if (own.status === "rejected") {
    await engine.value.close();
    throw own.reason;
  }
  if (own.value) engine.value.bringWorker(own.value.url, own.value.info().slots);
  return {
    engine: engine.value,
    own: own.value,
    async close() {
      await engine.value.close();
      await own.value?.stop();
    },
  };
}
