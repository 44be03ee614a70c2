import { type AccessOptions, type OpenAccess, openAccess } from "../access/open-access.js";
import type { Log } from "../lib/log.js";
import { type Listening, listen } from "../wire/listen.js";
import type { TlsFiles } from "../wire/tls.js";
import { createApp } from "./app.js";
import { createEngine, type Engine } from "./engine.js";
import type { EngineOptions } from "./engine-options.js";
import { logActivity } from "./run-log.js";

export interface BossOptions extends EngineOptions {
  readonly host: string;
  readonly port: number;
  /** Foreign names that a boss on loopback answers to. */
  readonly allowHosts?: readonly string[];
  /** Who may talk to it. Beyond loopback nobody without a token; it is kept in the folder of the history. */
  readonly access?: AccessOptions;
  readonly tls?: TlsFiles;
  readonly version: string;
  readonly log: Log;
}

export interface RunningBoss {
  readonly url: string;
  readonly port: number;
  readonly engine: Engine;
  /** Where its token is; null where none is needed. */
  readonly tokenFile: string | null;
  stop(options?: { readonly graceMs?: number }): Promise<void>;
}

export async function startBoss(given: BossOptions): Promise<RunningBoss> {
  const { secrets } = given;
  const log: Log = (message, details) =>
    given.log(secrets.maskText(message), details && secrets.maskTexts(details));
  const options = { ...given, log };
  const engine = await createEngine(options);
  let access: OpenAccess | undefined;
  let listening: Listening;
  try {
    const { host, port, allowHosts = [], tls, history } = options;
    const folder = history.kind === "durable" ? { folder: history.folder } : {};
    access = openAccess({ ...folder, ...options.access }, { role: "boss", host, allowHosts, log });
    const app = createApp(engine, { ...options, audit: access.audit });
    const fetch = access.guard((request) => app.fetch(request));
    listening = await listen({ fetch, host, port, log, ...(tls && { tls }) });
  } catch (error) {
    access?.close();
    await engine.close();
    throw error;
  }
  const stopped = new AbortController();
  logActivity(engine, log, stopped.signal);
  return {
    url: listening.url,
    port: listening.port,
    engine,
    tokenFile: access.tokenFile,
    async stop({ graceMs = 0 } = {}) {
      await engine.close({ graceMs });
      stopped.abort();
      await listening.close();
      access.close();
    },
  };
}
