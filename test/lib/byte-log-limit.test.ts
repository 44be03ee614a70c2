import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { ByteLog } from "../../src/lib/byte-log.js";

const folder = mkdtempSync(join(tmpdir(), "bettertest-limit-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;

/** Numbered lines, so that a missing or moved byte shows. */
function text(bytes: number): string {
  let all = "";
  for (let line = 0; all.length < bytes; line++) all += `${line}\n`;
  return all.slice(0, bytes);
}

async function logged(input: string, limitBytes: number, chunkBytes: number): Promise<string> {
  const log = new ByteLog(join(folder, `${++files}`), { limitBytes });
  for (let at = 0; at < input.length; at += chunkBytes) {
    await log.append(Buffer.from(input.slice(at, at + chunkBytes)));
  }
  await log.end();
  const chunks: Uint8Array[] = [];
  for await (const chunk of log.follow()) chunks.push(chunk);
  const output = Buffer.concat(chunks);
  assert.equal(log.length, output.length);
  return output.toString();
}

describe("a log with a limit", () => {
  for (const chunkBytes of [1, 7, 1000, 100_000]) {
    test(`keeps whole what fits, in chunks of ${chunkBytes}`, async () => {
      for (const size of [0, 1, 499, 500, 501, 900]) {
        assert.equal(await logged(text(size), 1000, chunkBytes), text(size));
      }
    });

    test(`keeps beginning and end of more, in chunks of ${chunkBytes}, and says how much is missing`, async () => {
      for (const size of [1500, 2000, 5003, 40_000]) {
        const input = text(size);
        const output = await logged(input, 1000, chunkBytes);
        const [, head, missing, tail] =
          /^([\s\S]*)\n\[(\d+) bytes are missing here: output is limited to 1000 B\]\n([\s\S]*)$/.exec(
            output,
          )!;
        // Lines stay whole: half of a secret could not be masked.
        assert.equal(head, input.slice(0, input.indexOf("\n", 499) + 1));
        assert.equal(input.at(-tail!.length - 1), "\n");
        assert.ok(tail!.length >= 240 && tail!.length <= 500, `${tail!.length}`);
        assert.equal(tail, input.slice(-tail!.length));
        assert.equal(head!.length + Number(missing) + tail!.length, input.length);
      }
    });
  }

  test("a line that does not end is cut all the same", async () => {
    for (const chunkBytes of [1, 7, 100_000]) {
      const output = await logged("x".repeat(5000), 1000, chunkBytes);
      assert.match(output, /^x{500,562}\n\[\d+ bytes are missing here[^\n]*\]\nx{250,500}$/);
    }
  });

  test("leaves no file behind but its own", async () => {
    const before = readdirSync(folder).length;
    await logged(text(10_000), 1000, 100);
    assert.equal(readdirSync(folder).length, before + 1);
  });

  test("a reader that follows from the start gets the same as one that comes later", async () => {
    const log = new ByteLog(join(folder, `${++files}`), { limitBytes: 1000 });
    const live: Uint8Array[] = [];
    const reading = (async () => {
      for await (const chunk of log.follow()) live.push(chunk);
    })();
    for (let i = 0; i < 100; i++) await log.append(Buffer.from(text(99)));
    await log.end();
    await reading;
    const late: Uint8Array[] = [];
    for await (const chunk of log.follow()) late.push(chunk);
    assert.deepEqual(Buffer.concat(live), Buffer.concat(late));
  });
});
