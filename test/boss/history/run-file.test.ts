import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { after, test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { outputsIn } from "../../../src/boss/history/data-folder.js";
import { BadRunFile, importRun } from "../../../src/boss/history/import-run.js";
import { exportRun } from "../../../src/boss/history/run-file.js";
import { createMemoryStore } from "../../../src/boss/store/memory.js";
import { startRig } from "../../rig/rig.js";

const folder = mkdtempSync(join(tmpdir(), "bettertest-run-file-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let folders = 0;

/** A run of two stages, one task tried twice, as a file. */
async function exported(): Promise<Buffer> {
  await using rig = await startRig({
    files: {
      ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
        stage("s", { bytes: () => run("any", "head -c 300000 /dev/urandom"), silent() {} });
        stage("t").task("red", () => run("any", "echo red; exit 1"), { retries: 1 });`,
    },
  });
  const { id } = await rig.run();
  const { store, outputs } = rig.boss.engine;
  const chunks: Buffer[] = [];
  const to = new Writable({
    write(chunk: Buffer, _, done) {
      chunks.push(chunk);
      done();
    },
  });
  const events = (run: number) =>
    store.events({ run, after: 0, limit: 10_000 }).map(({ event }) => event);
  await exportRun({ run: (run) => store.run(run), events, outputs }, id, to);
  return Buffer.concat(chunks);
}

function newTarget(maxBytes = 10_000_000) {
  const store = createMemoryStore();
  const outputs = outputsIn(join(folder, String(++folders)));
  return { ...store, outputs, maxBytes };
}

const file = await exported();
const content = gunzipSync(file);
const from = (bytes: Uint8Array) => Readable.from([bytes]);

/** With a right checksum. */
function signed(lines: Buffer): Buffer {
  const sha256 = createHash("sha256").update(lines).digest("hex");
  return gzipSync(Buffer.concat([lines, Buffer.from(`${JSON.stringify({ end: { sha256 } })}\n`)]));
}

const unsigned = content.subarray(0, content.lastIndexOf('{"end"'));

test("a run goes into a file and comes out as it was, under a new number", async () => {
  const target = newTarget();
  target.nextRunId();
  const id = await importRun(target, from(file));
  assert.equal(id, 2);
  const run = target.run(id)!;
  assert.equal(run.status, "failed");
  assert.equal(run.request.trigger, "import of 1 (test)");
  assert.equal(run.stages[1]?.tasks[0]?.attempts.length, 2);
  const path = (stage: string, task: string, attempt: number) =>
    target.outputs.path({ run: id, pipeline: run.pipeline!, attempt: { stage, task, attempt } });
  assert.equal(readFileSync(path("t", "red", 2), "utf8"), "red\n");
  const bytes = readFileSync(path("s", "bytes", 1));
  assert.equal(bytes.length, 300_000);
  assert.ok(content.includes(bytes));
});

test("whatever is wrong with a file, nothing of it stays, and it is said", async () => {
  const line = (value: unknown) => Buffer.from(`${JSON.stringify(value)}\n`);
  const firstLine = content.subarray(0, content.indexOf("\n") + 1);
  const text = unsigned.toString("latin1");
  const change = (pattern: RegExp, by: string) => {
    assert.match(text, pattern);
    return signed(Buffer.from(text.replace(pattern, by), "latin1"));
  };
  const changedByte = Buffer.from(content);
  const at = content.length - 200_000;
  changedByte[at] = changedByte[at]! ^ 1;
  const hostile: Record<string, readonly [Buffer, RegExp]> = {
    empty: [Buffer.alloc(0), /unpacked|ends in the middle/],
    "no gzip": [Buffer.from("hello"), /cannot be unpacked/],
    "another format": [gzipSync(line({ format: "x" })), /no run of bettertest/],
    "a newer version": [
      signed(line({ format: "bettertest-run", version: 99, run: 1 })),
      /of version 99/,
    ],
    "cut off": [file.subarray(0, file.length - 1000), /unpacked|in the middle/],
    "cut off inside": [gzipSync(content.subarray(0, content.length - 1000)), /middle|no JSON/],
    "a changed byte": [gzipSync(changedByte), /checksum/],
    "something behind": [gzipSync(Buffer.concat([content, Buffer.from("x")])), /behind its end/],
    "no events": [signed(firstLine), /has not ended/],
    "an unknown event": [
      signed(Buffer.concat([firstLine, line({ event: { type: "__proto__", at: 1 } })])),
      /none that is known/,
    ],
    "an event that is not as it must be": [
      change(/"stages":\[/, '"stages":[{"name":7},'),
      /none that is known/,
    ],
    "a path for a name": [
      change(/"file":"output","stage":"s"/, '"file":"output","stage":"../../s"'),
      /no attempt of its run/,
    ],
    "a kind of file that is a path": [
      change(/"file":"output"/, '"file":"../../../x"'),
      /holds what is not known/,
    ],
    "the same file twice": [
      change(/"task":"silent","attempt":1,"bytes":0\}\n\n/, '$&{"file":"output","stage":"s",$&'),
      /no attempt of its run/,
    ],
    "a length that is not true": [
      change(/"attempt":1,"bytes":300000/, '"attempt":1,"bytes":300001'),
      /another length|no JSON|middle|holds what/,
    ],
    "a bomb": [
      gzipSync(Buffer.concat([firstLine, Buffer.alloc(50_000_000)])),
      /more than 9\.5 MiB/,
    ],
  };
  for (const [name, [bytes, message]] of Object.entries(hostile)) {
    const target = newTarget();
    await assert.rejects(importRun(target, from(bytes)), (error: Error) => {
      assert.ok(error instanceof BadRunFile, `${name}: ${error.stack}`);
      assert.match(error.message, message, name);
      return true;
    });
    assert.deepEqual(readdirSync(target.outputs.folder), [], name);
    assert.equal(target.lastSeq(), 0, name);
  }
});
