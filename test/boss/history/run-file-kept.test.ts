// A run that is taken elsewhere takes along what its commands have left.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { after, test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { outputsIn } from "../../../src/boss/history/data-folder.js";
import { BadRunFile, importRun } from "../../../src/boss/history/import-run.js";
import { exportRun } from "../../../src/boss/history/run-file.js";
import { artifactsOf, blobOf, testsOf } from "../../../src/boss/run/kept-files.js";
import { createMemoryStore } from "../../../src/boss/store/memory.js";
import { startRig } from "../../rig/rig.js";

const folder = mkdtempSync(join(tmpdir(), "bettertest-run-file-"));
after(() => rmSync(folder, { recursive: true, force: true }));

async function exported(): Promise<Buffer> {
  const report = "<testsuite name='s'><testcase name='one'/><testcase name='two'/></testsuite>";
  await using rig = await startRig({
    files: {
      ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
        stage("s", { leaves: () => run("any", ${JSON.stringify(`echo "${report}" > j.xml; echo a > a.txt; echo a > same.txt; echo b > b.txt`)}, { results: "j.xml", artifacts: "*.txt" }) });`,
    },
  });
  const run = await rig.run();
  assert.equal(run.status, "passed", JSON.stringify(run));
  const { store, outputs } = rig.boss.engine;
  const chunks: Buffer[] = [];
  const to = new Writable({
    write(chunk: Buffer, _, done) {
      chunks.push(chunk);
      done();
    },
  });
  const events = (id: number) =>
    store.events({ run: id, after: 0, limit: 10_000 }).map(({ event }) => event);
  await exportRun({ run: (id) => store.run(id), events, outputs }, run.id, to);
  return gunzipSync(Buffer.concat(chunks));
}

const content = await exported();
let folders = 0;

async function imported(bytes: Buffer) {
  const store = createMemoryStore();
  const outputs = outputsIn(join(folder, String(++folders)));
  const target = { ...store, outputs, maxBytes: 10_000_000 };
  const id = await importRun(target, Readable.from([gzipSync(bytes)]));
  return { run: store.run(id)!, outputs };
}

function changed(from: string, to: string): Buffer {
  const text = content.toString("latin1");
  assert.ok(text.includes(from), from);
  const lines = Buffer.from(
    text.slice(0, text.lastIndexOf('{"end"')).replaceAll(from, to),
    "latin1",
  );
  const sha256 = createHash("sha256").update(lines).digest("hex");
  return Buffer.concat([lines, Buffer.from(`${JSON.stringify({ end: { sha256 } })}\n`)]);
}

test("all tests and the artifacts' bytes come along", async () => {
  const { run, outputs } = await imported(content);
  const tests = [];
  for await (const one of testsOf(run, outputs, {})) tests.push(one);
  assert.deepEqual(
    tests.map(({ name }) => name),
    ["one", "two"],
  );
  const texts: string[] = [];
  for await (const artifact of artifactsOf(run, outputs, {})) {
    const path = await blobOf(run, outputs, artifact);
    texts.push(`${artifact.path} ${readFileSync(path!, "utf8")}`);
  }
  assert.deepEqual(texts, ["a.txt a\n", "b.txt b\n", "same.txt a\n"]);
});

test("a file whose artifacts lie or lead elsewhere is refused", async () => {
  const refused = (from: string, to: string) =>
    assert.rejects(imported(changed(from, to)), BadRunFile, `${from} -> ${to}`);
  await refused('"path":"a.txt"', '"path":"../.t"');
  await refused('"verdict":"passed"', '"verdict":"sleepy"');
  await refused('"bytes":2}\na\n', '"bytes":2}\nx\n');
  await refused('{"file":"blob"', '{"file":"glob"');
});
