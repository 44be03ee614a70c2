import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ByteLog } from "../../src/lib/byte-log.js";

const folder = await mkdtemp(join(tmpdir(), "bettertest-test-"));
after(() => rm(folder, { recursive: true, force: true }));
let logs = 0;
const newLog = () => new ByteLog(join(folder, `log-${++logs}`));

async function readAll(log: ByteLog, offset = 0, signal?: AbortSignal): Promise<string> {
  let text = "";
  for await (const chunk of log.follow(offset, signal)) text += Buffer.from(chunk).toString();
  return text;
}

test("readers get what was there and what comes, each from its own offset, until the end", async () => {
  const log = newLog();
  log.append(Buffer.from("one "));
  const early = readAll(log);
  const skipping = readAll(log, 5);
  log.append(Buffer.from("two "));
  await log.end();
  assert.equal(await early, "one two ");
  assert.equal(await skipping, "wo ");
  assert.equal(await readAll(log), "one two ");
  assert.equal(await readAll(log, 100), "");
  assert.equal(log.length, 8);
  assert.equal(await readFile(log.path, "utf8"), "one two ");
});

test("a reader that follows hears of new bytes before the end", async () => {
  const log = newLog();
  const reader = log.follow();
  for (const text of ["first", "second"]) {
    log.append(Buffer.from(text));
    const { value } = await reader.next();
    assert.equal(Buffer.from(value!).toString(), text);
  }
  await log.end();
  assert.equal((await reader.next()).done, true);
});

test("a reader's signal ends it while it waits", async () => {
  const log = newLog();
  const leaving = new AbortController();
  const reading = readAll(log, 0, leaving.signal);
  leaving.abort();
  assert.equal(await reading, "");
  await log.end();
});

test("append asks its caller to wait when the disk is behind, and nothing is lost", async () => {
  const log = newLog();
  let waited = 0;
  for (let i = 0; i < 100; i++) {
    const room = log.append(Buffer.alloc(100_000, i));
    if (room) waited += 1;
    await room;
  }
  await log.end();
  assert.ok(waited > 0);
  const bytes = await readFile(log.path);
  assert.equal(bytes.length, 10_000_000);
  for (let i = 0; i < 100; i++) assert.equal(bytes[i * 100_000], i);
});

test("readers beside the writer and far behind it get the same bytes, however those come", async () => {
  const log = newLog();
  log.append(Buffer.from("begun"));
  const start = async (offset: number, pauses: boolean) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of log.follow(offset)) {
      chunks.push(chunk);
      if (pauses && chunks.length % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return Buffer.concat(chunks);
  };
  const readers = [start(0, false), start(0, true), start(3, false), start(70_000, true)];
  const all = [Buffer.from("begun")];
  for (let n = 0; n < 400; n++) {
    const size = n % 7 === 0 ? 60_000 : n % 5;
    const chunk = Buffer.from(`${n},`.repeat(size + 1).slice(0, size));
    all.push(chunk);
    await log.append(chunk);
    if (n % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
    if (n === 200) readers.push(start(1_000_000, false), start(0, false));
  }
  await log.end();
  const expected = Buffer.concat(all);
  const offsets = [0, 0, 3, 70_000, 1_000_000, 0];
  for (const [index, got] of (await Promise.all(readers)).entries()) {
    assert.ok(got.equals(expected.subarray(offsets[index]!)), `reader ${index}`);
  }
});

/** What is left for each, when one piece after the other is taken of all. */
async function restOf(readers: readonly AsyncGenerator<Uint8Array>[]): Promise<Uint8Array[][]> {
  const got: Uint8Array[][] = readers.map(() => []);
  for (let left = readers.length; left > 0; ) {
    left = readers.length;
    for (const [index, reader] of readers.entries()) {
      const { value, done } = await reader.next();
      if (done) left -= 1;
      else got[index]!.push(value);
    }
  }
  return got;
}

function assertShared(got: readonly Uint8Array[][], expected: Uint8Array) {
  for (const pieces of got) assert.ok(Buffer.concat(pieces).equals(expected));
  for (const index of got[0]!.keys()) {
    assert.equal(new Set(got.map((pieces) => pieces[index]!.buffer)).size, 1);
  }
}

test("small pieces reach readers who are a little behind as few large ones, which they share", async () => {
  const log = newLog();
  log.append(Buffer.from("begun"));
  const readers = [log.follow(), log.follow()];
  for (const reader of readers) await reader.next();
  const lines = Array.from({ length: 20_000 }, (_, n) => Buffer.from(`line ${n} of many\n`));
  for (const line of lines) log.append(line);
  await log.end();
  const got = await restOf(readers);
  assertShared(got, Buffer.concat(lines));
  assert.ok(got[0]!.length <= 3, `${got[0]!.length} pieces`);
});

test("readers who are far behind share what is read for them", async () => {
  const log = newLog();
  const all = Buffer.from(Array.from({ length: 3_000_000 }, (_, n) => n % 251));
  for (let at = 0; at < all.length; at += 100_000) await log.append(all.subarray(at, at + 100_000));
  await log.end();
  assertShared(await restOf(Array.from({ length: 5 }, () => log.follow())), all);
});

test("a reader that stopped in the middle holds up neither the writer nor another reader", async () => {
  const log = newLog();
  log.append(Buffer.from("x"));
  const stopped = log.follow();
  await stopped.next();
  for (let i = 0; i < 50; i++) await log.append(Buffer.alloc(100_000));
  await log.end();
  assert.equal((await readAll(log)).length, 5_000_001);
  await stopped.return(undefined);
});

test("an end without a byte is an empty file; a second end is the same", async () => {
  const log = newLog();
  await log.end();
  await log.end();
  assert.equal(await readAll(log), "");
  assert.throws(() => log.append(Buffer.from("late")), /has ended/);
});

test("a file that cannot be written: the writer goes on, readers and end tell the reason", async () => {
  const log = new ByteLog(join(import.meta.filename, "below-a-file"));
  await assert.rejects(readAll(log), /ENOTDIR/);
  assert.match(String(log.error), /ENOTDIR/);
  assert.equal(log.append(Buffer.from("lost")), undefined);
  await assert.rejects(log.end(), /ENOTDIR/);
});
