// The stream of a container, without one.

import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { outputUntilEnd } from "../../../src/worker/executors/docker-output.js";
import { deferred } from "../../rig/worker.js";

const mark = Buffer.from("\xffmark", "latin1");

/** As the engine sends it. */
function frame(stream: 1 | 2, text: string): Buffer {
  const payload = Buffer.from(text, "latin1");
  const head = Buffer.alloc(8);
  head[0] = stream;
  head.writeUInt32BE(payload.length, 4);
  return Buffer.concat([head, payload]);
}

test("the end of a command is told as soon as it is seen, its code when all output is taken", async () => {
  const stream = new PassThrough();
  const taken = deferred<void>();
  const ended = deferred<void>();
  let isOver = false;
  const code = outputUntilEnd(stream, mark, { sink: () => taken.promise, ended: ended.resolve });
  void code.then(() => {
    isOver = true;
  });
  const marks = ([1, 2] as const).map((n) => frame(n, `${mark.toString("latin1")}007`));
  stream.write(Buffer.concat([frame(1, "output"), ...marks]));
  await ended.promise;
  assert.equal(isOver, false);
  taken.resolve();
  assert.equal(await code, 7);
});

test("a stream that was lost before anybody listened says so", async () => {
  for (const error of [new Error("reset by the engine"), undefined]) {
    const stream = new PassThrough();
    const lost = new Promise((resolve) => stream.on("error", resolve).on("close", resolve));
    stream.destroy(error);
    await lost;
    const ending = outputUntilEnd(stream, mark, { sink: () => undefined, ended: () => {} });
    const pending = new Promise((resolve) => setImmediate(resolve)).then(() => "still waits");
    await assert.rejects(Promise.race([ending, pending]), /reset by the engine|was closed/);
  }
});
