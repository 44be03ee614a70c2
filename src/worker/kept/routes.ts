// The worker's HTTP side of kept sandboxes; the contract is in wire/kept.ts.

import { type Context, Hono } from "hono";
import { BadRequest, parseBody, readBytes } from "../../wire/body.js";
import { TerminalRequest, TerminalSize } from "../../wire/kept.js";
import { bytesResponse } from "../../wire/stream.js";
import type { StreamCount } from "../../wire/stream-count.js";
import { encodeFrame, lifeFrame } from "../../wire/terminal-frames.js";
import { KeptBusy, KeptGone, type KeptSandboxes } from "./kept.js";

export interface KeptRoutesDeps {
  readonly kept: KeptSandboxes;
  readonly streams: StreamCount;
  readonly keepAliveMs: number;
}

const mostInputBytes = 64 * 1024;

export function keptRoutes({ kept, streams, keepAliveMs }: KeptRoutesDeps): Hono {
  const app = new Hono();
  app.onError((error, c) => {
    if (error instanceof KeptGone) return c.json({ error: error.message }, 404);
    if (error instanceof KeptBusy) return c.json({ error: error.message }, 409);
    throw error;
  });
  const execution = (c: Context) => c.req.param("execution") ?? "";
  const terminalOf = (c: Context) => kept.terminal(execution(c), c.req.param("terminal") ?? "");

  app.get("/:execution", (c) => c.json(kept.get(execution(c))));

  app.delete("/:execution", async (c) => {
    await kept.release(execution(c));
    return c.body(null, 204);
  });

  app.post("/:execution/terminals", async (c) => {
    const request = await parseBody(c.req.raw, TerminalRequest);
    streams.check();
    return c.json({ terminal: await kept.open(execution(c), request) }, 201);
  });

  app.get("/:execution/terminals/:terminal/output", (c) => {
    const terminal = terminalOf(c);
    if (terminal.isClaimed) throw new KeptBusy("this terminal is read by somebody already");
    const frames = streams.counted(async function* (signal) {
      for await (const output of terminal.output(signal)) yield encodeFrame(output);
    });
    return bytesResponse(frames, { keepAlive: lifeFrame, keepAliveMs });
  });

  app.post("/:execution/terminals/:terminal/input", async (c) => {
    const terminal = terminalOf(c);
    const offset = c.req.query("offset") ?? "0";
    if (!/^\d{1,15}$/.test(offset)) throw new BadRequest("offset: must be a number of bytes");
    const bytes = await readBytes(c.req.raw, mostInputBytes);
    const isLast = c.req.query("end") === "1";
    const answer = await terminal.input(bytes, Number(offset), { isLast });
    if (answer === "taken") return c.body(null, 204);
    if (answer === "gap") {
      return c.json({ error: `offset: what comes before byte ${offset} is missing` }, 409);
    }
    return c.json({ error: "the program takes no more input for now" }, 503);
  });

  app.post("/:execution/terminals/:terminal/size", async (c) => {
    const size = await parseBody(c.req.raw, TerminalSize);
    await terminalOf(c).resize(size);
    return c.body(null, 204);
  });

  return app;
}
