import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { KeptTransforms } from "../../../../runtime/host/typescript/kept-transforms.js";
import { transformSource } from "../../../../runtime/host/typescript/transform.js";
import { waitFor } from "../../../cli/rig.js";

const cache = mkdtempSync(join(tmpdir(), "bettertest-transforms-"));
const folder = join(cache, "transforms");
/** Whole ones: each is written aside first. */
const files = () => readdirSync(folder).filter((name) => name.endsWith(".json"));
const hasFiles = (count: number) => existsSync(folder) && files().length === count;
after(() => rmSync(cache, { recursive: true }));

const source = Buffer.from("export class A { static b: number = 1; }");

test("what was made of a file is found by the next process, and made again where it is damaged", async () => {
  const first = await transformSource("/a.ts", source, KeptTransforms.in(cache));
  await waitFor(() => hasFiles(1));
  const [name] = files();
  assert.deepEqual(await transformSource("/a.ts", source, KeptTransforms.in(cache)), first);

  // It is read: what is in the file counts.
  const content = JSON.stringify({ code: "export const c = 2;", warnings: [] });
  const hash = createHash("sha256").update(content).digest("hex");
  writeFileSync(join(folder, name!), `${hash}\n${content}`);
  const found = await transformSource("/a.ts", source, KeptTransforms.in(cache));
  assert.ok(found.ok && found.code.includes("const c = 2"));

  for (const damaged of ["", content, `${hash}\n${content.replace("2", "3")}`, `${hash}\n`]) {
    writeFileSync(join(folder, name!), damaged);
    assert.deepEqual(await transformSource("/a.ts", source, KeptTransforms.in(cache)), first);
  }
});

test("another path, another content, an error: each is its own", async () => {
  const kept = KeptTransforms.in(cache);
  const before = files().length;
  const other = await transformSource("/b.ts", source, kept);
  assert.ok(other.ok && other.code !== "");
  await transformSource("/a.ts", Buffer.from("export {}"), kept);
  const broken = await transformSource("/a.ts", Buffer.from("export const = 1"), kept);
  assert.ok(!broken.ok && broken.error.file === "/a.ts");
  await waitFor(() => hasFiles(before + 2));
});

test("not more are kept than anybody needs", async () => {
  mkdirSync(folder, { recursive: true });
  for (let at = 0; at < 600; at++) writeFileSync(join(folder, `${at}.json`), "{}");
  await transformSource("/c.ts", source, KeptTransforms.in(cache));
  await waitFor(() => files().length < 400);
  assert.ok(files().length > 200);
});
