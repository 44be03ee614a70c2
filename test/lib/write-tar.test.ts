import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type TarItem, writeTar } from "../../src/lib/write-tar.js";

test("tar itself unpacks what was written, whatever the names", async () => {
  const long = `${"deep/".repeat(30)}file`;
  const folders = Array.from({ length: 30 }, (_, n) => "deep/".repeat(n + 1).slice(0, -1));
  const name = Buffer.from("ünd\n").toString("latin1");
  const file = (path: string, text: string, mode = 0o644): TarItem => {
    const bytes = Buffer.from(text);
    return { kind: "file", path, mode, size: bytes.length, read: () => [bytes] };
  };
  const items: TarItem[] = [
    { kind: "folder", path: "empty", mode: 0o750 },
    ...folders.map((path): TarItem => ({ kind: "folder", path, mode: 0o755 })),
    file(long, "x".repeat(1000)),
    file(name, "bytes", 0o755),
    file("512", "y".repeat(512)),
    file("none", ""),
    { kind: "link", path: "link", target: long },
  ];
  const archive: Uint8Array[] = [];
  for await (const chunk of writeTar(items)) archive.push(chunk);
  const folder = mkdtempSync(join(tmpdir(), "bettertest-tar-"));
  try {
    execFileSync("tar", ["-C", folder, "-xf", "-"], { input: Buffer.concat(archive) });
    assert.equal(readFileSync(join(folder, long), "utf8"), "x".repeat(1000));
    assert.equal(readFileSync(join(folder, "ünd\n"), "utf8"), "bytes");
    assert.equal(statSync(join(folder, "ünd\n")).mode & 0o777, 0o755);
    assert.equal(statSync(join(folder, "empty")).mode & 0o777, 0o750);
    assert.equal(readlinkSync(join(folder, "link")), long);
    assert.equal(statSync(join(folder, "512")).size, 512);
    assert.equal(statSync(join(folder, "none")).size, 0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a file that is not as long as was said ends the archive with an error", async () => {
  const items: TarItem[] = [
    { kind: "file", path: "a", mode: 0o644, size: 3, read: () => [Buffer.from("four")] },
  ];
  await assert.rejects(async () => {
    for await (const _ of writeTar(items));
  }, /^Error: a has 4 bytes, not 3$/);
});
