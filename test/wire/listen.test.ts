import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { test } from "node:test";
import { listen } from "../../src/wire/listen.js";

/** More than the system takes by itself, for a reader who never reads: its buffers grow up to these bounds. */
async function moreThanBuffers(): Promise<number> {
  const bounds = await Promise.all(
    ["tcp_rmem", "tcp_wmem"].map(async (name) => {
      const text = await readFile(`/proc/sys/net/ipv4/${name}`, "utf8").catch(() => "");
      return Number(text.trim().split(/\s+/)[2] || 8_000_000);
    }),
  );
  return 30_000_000 + bounds.reduce((sum, bound) => sum + bound, 0);
}

async function readerOf(port: number) {
  const socket = connect({ host: "127.0.0.1", port });
  socket.write("GET / HTTP/1.1\r\nHost: here\r\n\r\n");
  await once(socket, "readable");
  return socket;
}

test("an answer that nobody takes is let go, one that is taken slowly is not", async () => {
  const size = await moreThanBuffers();
  const server = await listen({
    host: "127.0.0.1",
    port: 0,
    unreadMs: 300,
    fetch: () => new Response("x".repeat(size)),
  });
  try {
    const stopped = await readerOf(server.port);
    const slow = await readerOf(server.port);
    let taken = 0;
    const taking = (async () => {
      // Longer in all than a stopped reader is waited for.
      for await (const chunk of slow.iterator({ destroyOnReturn: false })) {
        taken += (chunk as Buffer).length;
        if (taken >= size) return;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    const gone = once(stopped, "close");
    await taking;
    assert.ok(taken >= size);
    let left = 0;
    stopped.on("data", (chunk) => {
      left += chunk.length;
    });
    stopped.on("error", () => {});
    await gone;
    assert.ok(left < size);
    slow.destroy();
  } finally {
    await server.close();
  }
});
