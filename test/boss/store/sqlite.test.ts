import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import Database from "libsql";
import { migrate, migrations } from "../../../src/boss/store/migrations.js";
import { openSqliteStore } from "../../../src/boss/store/sqlite.js";
import { runCreated, storeContract } from "../../contracts/store.js";

const folder = mkdtempSync(join(tmpdir(), "bettertest-store-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
const freshPath = () => join(folder, `${++files}.db`);

const created = runCreated();

storeContract("sqlite", () => openSqliteStore(freshPath()));

test("what was stored is there after closing and opening again", () => {
  const path = freshPath();
  const first = openSqliteStore(path);
  const id = first.nextRunId();
  first.append(id, created);
  first.append(id, { type: "run-finished", at: 5, verdict: "failed" });
  const open = first.nextRunId();
  first.append(open, created);
  first.close();

  const second = openSqliteStore(path);
  assert.equal(second.run(id)?.status, "failed");
  assert.deepEqual(second.unfinished(), [open]);
  assert.equal(second.lastSeq(), 3);
  assert.equal(second.nextRunId(), open + 1);
  assert.deepEqual(
    second.runs({ limit: 5 }).map((run) => [run.id, run.status]),
    [
      [open, "queued"],
      [id, "failed"],
    ],
  );
  second.close();
});

test("a damaged run under way is complained of, and keeps no other", () => {
  const path = freshPath();
  const store = openSqliteStore(path);
  const ids = [1, 2, 3].map(() => store.nextRunId());
  for (const id of ids) store.append(id, created);
  store.append(ids[0]!, { type: "cancel-requested", at: 2, by: "test" });
  store.close();
  const database = new Database(path);
  database.exec('UPDATE events SET event = \'{"type":"run-\' WHERE seq = 4');
  database.exec(`DELETE FROM events WHERE run = ${ids[1]}`);
  database.close();

  const again = openSqliteStore(path);
  const problems: string[] = [];
  assert.deepEqual(
    again.unfinished((problem) => problems.push(problem)),
    [ids[2]],
  );
  assert.match(problems.join("\n"), /^run 1 cannot be read: .*\nrun 2 has no first event$/);
  again.close();
});

test("a writer that is killed loses nothing it was told is stored", async () => {
  const path = freshPath();
  const script = `
    const { writeSync } = await import("node:fs");
    const { openSqliteStore } = await import(${JSON.stringify(new URL("../../../src/boss/store/sqlite.js", import.meta.url).href)});
    const store = openSqliteStore(${JSON.stringify(path)});
    const id = store.nextRunId();
    store.append(id, ${JSON.stringify(created)});
    for (let n = 0; ; n++) {
      const { seq } = store.append(id, { type: "cancel-requested", at: n, by: "x".repeat(n % 3000) });
      // Waits for its reader, and ends with it: in a loop without a pause process.stdout would do neither.
      writeSync(1, seq + "\\n");
    }`;
  for (let round = 0; round < 3; round++) {
    rmSync(path, { force: true });
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    for await (const chunk of child.stdout) {
      said += chunk;
      if (said.length > 2000 * (round + 1)) child.kill("SIGKILL");
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    const lastSaid = Number(said.slice(0, said.lastIndexOf("\n")).split("\n").at(-1));
    const store = openSqliteStore(path);
    assert.ok(lastSaid > 0 && store.lastSeq() >= lastSaid, `${store.lastSeq()} < ${lastSaid}`);
    const events = store.events({ after: 0, limit: 1e9 });
    assert.deepEqual(
      events.map(({ seq }) => seq),
      Array.from({ length: store.lastSeq() }, (_, index) => index + 1),
    );
    store.close();
    for (const end of ["-wal", "-shm"]) rmSync(path + end, { force: true });
  }
});

test("a file of this version opens after one more migration; a newer one is refused", () => {
  const path = freshPath();
  const store = openSqliteStore(path);
  store.append(store.nextRunId(), created);
  store.close();

  const later = [...migrations, "ALTER TABLE runs ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;"];
  const upgraded = new Database(path);
  migrate(upgraded, path, later);
  assert.equal((upgraded.prepare("SELECT pinned FROM runs").all() as unknown[]).length, 1);
  upgraded.close();
  assert.throws(() => openSqliteStore(path), /written by a newer bettertest/);
});

test("a migration that fails leaves the file as it was", () => {
  const path = freshPath();
  openSqliteStore(path).close();
  const database = new Database(path);
  const broken = [...migrations, "CREATE TABLE more (a) STRICT; INSERT INTO nowhere VALUES (1);"];
  assert.throws(() => migrate(database, path, broken));
  database.close();
  const store = openSqliteStore(path);
  assert.equal(store.lastSeq(), 0);
  store.close();
});

test("an event and the list of runs are written together, or not at all", () => {
  const path = freshPath();
  const store = openSqliteStore(path);
  const id = store.nextRunId();
  const other = new Database(path);
  other.exec(
    `INSERT INTO runs (id, pipeline, finished, summary) VALUES (${id}, 'in the way', 1, '{}')`,
  );
  assert.throws(() => store.append(id, created));
  assert.deepEqual(store.events({ after: 0, limit: 10 }), []);
  other.exec("DELETE FROM runs");
  other.close();
  assert.equal(store.append(id, created).seq, 1);
  assert.deepEqual(store.unfinished(), [id]);
  store.close();
});

test("where the file cannot be written, runs under way go on, and are stored later", () => {
  const path = freshPath();
  const store = openSqliteStore(path);
  const id = store.nextRunId();
  store.append(id, created);
  const other = new Database(path);
  other.exec("BEGIN IMMEDIATE");
  store.append(id, { type: "cancel-requested", at: 2, by: "me" });
  store.append(id, { type: "run-finished", at: 3, verdict: "cancelled" });
  assert.equal(store.run(id)?.status, "cancelled");
  const types = () => store.events({ run: id, after: 0, limit: 9 }).map(({ event }) => event.type);
  assert.deepEqual(types(), ["run-created", "cancel-requested", "run-finished"]);
  // A kill would take it back, so nobody may be told.
  const shown = () => [store.shown(id), ...store.runs({ limit: 5 })].map((run) => run?.status);
  assert.deepEqual(shown(), ["queued", "queued"]);
  assert.throws(() => store.nextRunId(), /cannot be written: .*locked.*Is the disk full/);
  other.exec("ROLLBACK");
  other.close();
  store.retry();
  assert.deepEqual(shown(), ["cancelled", "cancelled"]);
  store.close();

  const again = openSqliteStore(path);
  assert.equal(again.run(id)?.status, "cancelled");
  assert.equal(again.lastSeq(), 3);
  assert.deepEqual(again.unfinished(), []);
  again.close();
});

test("a second boss on the same file is told so", () => {
  const path = freshPath();
  const store = openSqliteStore(path);
  store.append(store.nextRunId(), created);
  assert.throws(() => openSqliteStore(path), /in use by another boss.*--data/);
  store.close();
});

test("a file that is no database is refused with a sentence", () => {
  const path = freshPath();
  writeFileSync(path, "this is a shopping list, and a long one at that. ".repeat(50));
  assert.throws(() => openSqliteStore(path), /no bettertest history/);
});
