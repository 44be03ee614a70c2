// The page's end of the stream of events, in a real browser; the boss's end does what each test wants.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Message } from "../../ui/update.js";
import { noBrowser, openPage } from "./browser.js";

const entry = `
import { connect } from "./stream.js";
globalThis.told = [];
connect({
  dispatch: (message) => told.push(message),
  known: () => ({ instance: told.length > 0 ? "one" : null, lastSeq: 0 }),
  onRefused() {},
  beforeDrawing: (work) => work(),
});
`;

/** `keepAliveMs`: what the boss promises; `speaks`: whether it keeps it. */
async function startBoss(keepAliveMs: number | undefined, speaks: () => boolean) {
  const bundle = await build({
    stdin: {
      contents: entry,
      resolveDir: fileURLToPath(new URL("../../../ui/", import.meta.url)),
    },
    bundle: true,
    write: false,
    format: "iife",
    logLevel: "error",
  });
  const script = bundle.outputFiles[0]!.text;
  const streams: ServerResponse[] = [];
  const server = createServer(({ url }, response) => {
    if (!url?.startsWith("/api/events")) {
      response.setHeader("content-type", "text/html");
      response.end(`<!doctype html><link rel=icon href=data:,><script>${script}</script>`);
      return;
    }
    response.setHeader("content-type", "text/event-stream");
    const hello = { instance: "one", version: "1", seq: 0, now: 1, keepAliveMs };
    response.write(`event: hello\ndata: ${JSON.stringify(hello)}\n\n`);
    streams.push(response);
  });
  const timer = setInterval(() => {
    if (speaks()) for (const stream of streams) stream.write("event: alive\ndata: null\n\n");
  }, 100);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    streams,
    [Symbol.dispose]() {
      clearInterval(timer);
      server.close();
      server.closeAllConnections();
    },
  };
}

describe("the stream of a page", { skip: noBrowser }, () => {
  const started = async (url: string) => {
    const { page, ...rest } = await openPage(url);
    return {
      page,
      told: () => page.evaluate("told") as Promise<Message[]>,
      until: (count: number) => page.waitForFunction(`told.length >= ${count}`),
      [Symbol.asyncDispose]: rest[Symbol.asyncDispose],
    };
  };

  test("is taken for lost when the boss says nothing any more, and begun anew", async () => {
    let isAlive = true;
    using boss = await startBoss(200, () => isAlive);
    await using opened = await started(boss.url);
    await opened.until(1);
    // Far longer than silence is endured.
    await wait(3000);
    assert.equal(boss.streams.length, 1, "it was not silent");
    const silentFrom = Date.now();
    isAlive = false;
    await opened.until(3);
    const [first, lost, again] = await opened.told();
    assert.equal(first?.type, "connected");
    assert.ok(lost?.type === "disconnected");
    assert.ok(Math.abs(lost.at - silentFrom) < 500, "as of its last word");
    assert.ok(again?.type === "connected" && again.resumed);
  });

  test("of an older boss may be silent", async () => {
    using boss = await startBoss(undefined, () => false);
    await using opened = await started(boss.url);
    await opened.until(1);
    await wait(1500);
    assert.equal((await opened.told()).length, 1);
  });

  test("ends when the browser is offline, and goes on when it is back", async () => {
    using boss = await startBoss(15_000, () => true);
    await using opened = await started(boss.url);
    await opened.until(1);
    await opened.page.context().setOffline(true);
    await opened.until(2);
    assert.equal((await opened.told())[1]?.type, "disconnected");
    await opened.page.context().setOffline(false);
    await opened.page.waitForFunction("told.at(-1).type === 'connected'");
  });
});
