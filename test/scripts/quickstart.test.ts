// README's first command, in a copy of the clone that was never built. Without Docker, so that it runs
// anywhere; test/examples runs the same pipedef with it.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

const parts =
  "package.json package-lock.json tsconfig.json tsconfig.types.json bin compat-python examples runtime scripts src ui";

describe("npm run quickstart", () => {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), "bettertest-clone-"));
  const temporary = join(folder, "tmp");

  before(() => {
    for (const part of parts.split(" ")) cpSync(part, join(folder, part), { recursive: true });
    for (const made of ["test", "bench", "tmp"]) mkdirSync(join(folder, made));
    symlinkSync(realpathSync("node_modules"), join(folder, "node_modules"));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function quickstart(...args: string[]) {
    const child = spawn(process.execPath, [join(folder, "scripts/quickstart.mjs"), ...args], {
      env: { ...process.env, DOCKER_HOST: "unix:///nowhere.sock", TMPDIR: temporary },
      stdio: ["ignore", "pipe", "inherit"],
    });
    return { child, output: collect(child) };
  }

  test("--exit: builds, says that it goes without Docker, ends with the verdict's exit code", async () => {
    const { child, output } = quickstart("--exit");
    const [code] = await once(child, "exit");
    const text = await output.ended;
    assert.match(text, /Without Docker .*\n.*process executor.*not isolated/);
    assert.match(text, /✓ passed/);
    assert.match(text, /\nPASSED in \d+\.\d s\n$/);
    assert.equal(code, 0);
    assert.deepEqual(readdirSync(temporary), []);
  });

  test("serves the page until Ctrl-C; on another port where its own is taken", async () => {
    const blocker = createServer().listen(9001, "127.0.0.1");
    // Somebody else may hold it, which serves as well.
    await once(blocker, "listening").catch(() => {});
    const { child, output } = quickstart();
    try {
      const [, url = ""] = await output.match(/The page is at (\S+)/);
      assert.doesNotMatch(url, /:9001$/);
      assert.match(await (await fetch(url)).text(), /\/assets\/app-\w+\.js/);
      child.kill("SIGINT");
      const [code] = await once(child, "exit");
      assert.equal(code, 0);
      assert.match(await output.ended, /Port 9001 of the boss is taken/);
      assert.deepEqual(readdirSync(temporary), []);
    } finally {
      child.kill("SIGINT");
      blocker.close();
    }
  });

  test("--exit: a red task is exit code 1, with its reason", async () => {
    const pipedef = join(folder, "examples/quickstart/.bettertest/pipedef.ts");
    const source = readFileSync(pipedef, "utf8");
    writeFileSync(pipedef, source.replace("test $sum = 5050", "test $sum = 5051"));
    const { child, output } = quickstart("--exit");
    const [code] = await once(child, "exit");
    assert.match(await output.ended, /task_arithmetic {2}✗ failed: exit code 1[\s\S]*FAILED in/);
    assert.equal(code, 1);
  });
});

/** What a child prints: all of it, or the first match as soon as it is there. */
function collect(child: ChildProcess) {
  let text = "";
  const ended = once(child, "close").then(() => text);
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  return {
    ended,
    match: (pattern: RegExp) =>
      new Promise<RegExpExecArray>((resolve, reject) => {
        const look = () => {
          const found = pattern.exec(text);
          if (found) resolve(found);
        };
        child.stdout?.on("data", look);
        child.once("close", () => reject(new Error(`no ${pattern} in:\n${text}`)));
        look();
      }),
  };
}
