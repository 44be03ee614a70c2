import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { suite, test } from "node:test";
import { BossUnreachable, createBossClient } from "../../src/wire/boss-client.js";
import { persevere } from "../../src/wire/persevere.js";

/** Answers one request after another, each as the next of these says. */
async function startBoss(...answers: RequestListener[]) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    const answer = answers[asked.length - 1];
    if (answer) answer(request, response);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    asked,
    url: `http://127.0.0.1:${port}`,
    [Symbol.dispose]: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

const cut =
  (text: string): RequestListener =>
  (_, response) => {
    response.write(text);
    setTimeout(() => response.destroy(), 20);
  };
const whole =
  (text: string): RequestListener =>
  (_, response) =>
    void response.end(text);
const away =
  (status: number): RequestListener =>
  (_, response) =>
    void response.writeHead(status).end("<html>the proxy's own words</html>");

async function textOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts).toString();
}

const attempt = { run: 7, stage: "S", task: "a/b", attempt: 2 };

suite("what comes from a boss as a stream", () => {
  test("an output goes on at the byte where the connection was lost", async () => {
    using boss = await startBoss(cut("abc"), away(502), away(503), cut("d"), whole("ef"));
    const said: string[] = [];
    const client = createBossClient(boss.url, { onAway: (message) => said.push(message) });
    assert.equal(await textOf(client.output({ ...attempt, follow: true })), "abcdef");
    const path = "/api/runs/7/tasks/S/a%2Fb/output?attempt=2&follow=1&offset=";
    assert.deepEqual(
      boss.asked,
      [0, 3, 3, 3, 4].map((offset) => `${path}${offset}`),
    );
    assert.equal(said.length, 1);
    assert.match(said[0] ?? "", /503|502/);
  });

  test("so does a service's, and an artifact without what came already", async () => {
    using boss = await startBoss(cut("abc"), whole("de"), cut("abc"), whole("abcde"));
    const client = createBossClient(boss.url);
    assert.equal(
      await textOf(client.serviceOutput({ ...attempt, service: "db", call: 1 })),
      "abcde",
    );
    const artifact = { ...attempt, call: 1, path: "p", bytes: 5, sha256: "" };
    assert.equal(await textOf(client.artifact(7, artifact)), "abcde");
    assert.match(boss.asked[1] ?? "", /services\/db\/output\?attempt=2&call=1&offset=3$/);
  });

  test("events go on after the last one; a no is a no", async () => {
    const event = (seq: number, type: string) =>
      `id: ${seq}\ndata: ${JSON.stringify({ seq, run: 7, event: { type } })}\n\n`;
    using boss = await startBoss(
      cut(event(1, "run-created")),
      away(504),
      whole(event(2, "run-finished")),
      cut(event(1, "run-created")),
      away(404),
    );
    const client = createBossClient(boss.url);
    const seqs: number[] = [];
    for await (const { seq } of client.events(7)) seqs.push(seq);
    assert.deepEqual(seqs, [1, 2]);
    assert.match(boss.asked[2] ?? "", /after=1$/);
    await assert.rejects(async () => {
      for await (const _ of client.events(7)) seqs.push(0);
    }, /answered 404/);
  });

  test("a boss that stays away is given up with a sentence; one that never was there, at once", async () => {
    using boss = await startBoss(cut("abc"), away(502), away(502));
    const response = () => fetch(boss.url);
    let tries = 0;
    const reading = persevere({
      pausesMs: [1, 1],
      open: () => {
        tries++;
        return response();
      },
      // biome-ignore lint/correctness/useYield: it is lost before there is anything
      async *read() {
        throw new BossUnreachable("the connection was lost");
      },
    });
    await assert.rejects(async () => {
      for await (const _ of reading) assert.fail();
    }, /the connection was lost/);
    assert.equal(tries, 3);
    await assert.rejects(
      textOf(createBossClient("http://127.0.0.1:9").output(attempt)),
      BossUnreachable,
    );
  });
});
