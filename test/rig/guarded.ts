// A boss and a worker that can be reached from elsewhere, as far as they know: both want tokens.

import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { accessPaths } from "../../src/access/access-paths.js";
import { ensureTokenFile } from "../../src/access/token-file.js";
import { createToken } from "../../src/access/token-folder.js";
import { openWorkerTokens, originOf } from "../../src/access/worker-tokens.js";
import type { BossOptions } from "../../src/boss/main.js";
import { startWorker } from "../../src/worker/main.js";
import { type Rig, startRig } from "./rig.js";

export interface Guarded extends AsyncDisposable {
  readonly rig: Rig;
  /** By their address on loopback. */
  readonly url: string;
  readonly workerUrl: string;
  readonly data: string;
  readonly token: string;
  readonly readOnlyToken: string;
  readonly workerToken: string;
  /** What boss and worker have logged. */
  readonly logged: string[];
}

export async function startGuarded(
  files: Readonly<Record<string, string>>,
  options: Partial<BossOptions> = {},
): Promise<Guarded> {
  const data = mkdtempSync(join(tmpdir(), "bettertest-guarded-"));
  const paths = accessPaths(data);
  const logged: string[] = [];
  const log = (line: string) => void logged.push(line);
  const worker = await startWorker({
    host: "0.0.0.0",
    port: 0,
    executor: "process",
    slots: 2,
    access: { folder: data },
    log,
  });
  const workerUrl = `http://127.0.0.1:${worker.port}`;
  const workerToken = ensureTokenFile(paths.workerToken);
  const token = ensureTokenFile(paths.token);
  const now = Date.now();
  const { token: readOnlyToken } = createToken(paths.more, { name: "dash", access: "read", now });
  const fixed = new Map([[originOf(workerUrl) ?? "", workerToken]]);
  const rig = await startRig({
    files,
    host: "0.0.0.0",
    workers: [workerUrl],
    workerCredentials: { tokens: openWorkerTokens({ fixed }) },
    history: { kind: "durable", folder: data },
    log,
    ...options,
  });
  return {
    rig,
    url: rig.url.replace("0.0.0.0", "127.0.0.1"),
    workerUrl,
    data,
    token,
    readOnlyToken,
    workerToken,
    logged,
    async [Symbol.asyncDispose]() {
      await rig[Symbol.asyncDispose]();
      await worker.stop();
      rmSync(data, { recursive: true, force: true });
    },
  };
}

export function bearer(token: string): { authorization: string } {
  return { authorization: `Bearer ${token}` };
}

/** Logs in as a browser does; the cookie is what it would send from then on. */
export async function logIn(
  url: string,
  token: string,
  { next = "", headers = {} }: { next?: string; headers?: Record<string, string> } = {},
): Promise<{ readonly response: Response; readonly cookie: string }> {
  const response = await fetch(`${url}/login`, {
    method: "POST",
    headers: { origin: new URL(url).origin, ...headers },
    body: new URLSearchParams({ token, next }),
    redirect: "manual",
  });
  return { response, cookie: (response.headers.get("set-cookie") ?? "").split(";")[0] ?? "" };
}

/** Bytes as they are, and whatever comes back until the other end closes. */
export function sendRaw(url: string, bytes: string | Buffer): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    let text = "";
    socket.setEncoding("latin1").on("data", (chunk: string) => {
      text += chunk;
    });
    // A peer that refuses while we still send cuts the connection.
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
  });
}

export function statusLines(text: string): number[] {
  return [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => Number(status));
}
