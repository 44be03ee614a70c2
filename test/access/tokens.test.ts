import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { makeToken } from "../../src/access/token-file.js";
import { createToken } from "../../src/access/token-folder.js";
import { openTokens } from "../../src/access/tokens.js";
import { waitFor } from "../cli/rig.js";

test("a token that is replaced by a link, as a cluster does it, opens at once, and the old one no more", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-tokens-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const [old, fresh] = [makeToken(), makeToken()];
  for (const [name, token] of [
    ["..1", old],
    ["..2", fresh],
  ] as const) {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, "token"), `${token}\n`, { mode: 0o600 });
  }
  symlinkSync("..1", join(folder, "..data"));
  symlinkSync("..data/token", join(folder, "token"));
  const tokens = openTokens({ file: join(folder, "token"), log: () => {} });
  t.after(() => tokens.close());
  assert.ok(tokens.find(old));
  symlinkSync("..2", join(folder, "..data_tmp"));
  renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
  await waitFor(() => tokens.find(fresh) !== null);
  assert.equal(tokens.find(old), null);
  assert.ok(tokens.isRetired(old));
});

test("a folder of tokens that cannot be read any more ends nothing and shuts nobody out", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-tokens-"));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "token"), `${makeToken()}\n`, { mode: 0o600 });
  const more = join(folder, "tokens");
  mkdirSync(more);
  const { token } = createToken(more, { name: "eyes", access: "read", now: 1 });
  const said: string[] = [];
  const file = join(folder, "token");
  const tokens = openTokens({ file, folder: more, log: (line) => said.push(line) });
  t.after(() => tokens.close());
  assert.equal(tokens.find(token)?.access, "read");
  renameSync(more, `${more}.away`);
  writeFileSync(more, "");
  await waitFor(() => said.some((line) => line.startsWith("the tokens stay as before: ")));
  assert.equal(tokens.find(token)?.access, "read");
});
