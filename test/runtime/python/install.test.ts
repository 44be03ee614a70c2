// The package is installable by pip without a network.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const shim = fileURLToPath(new URL("../../../../compat-python", import.meta.url));
const pip = spawnSync("python3", ["-m", "pip", "--version"]).status === 0;
const skip = pip ? false : "this python3 has no pip";

test("pip installs it, and it runs from there", { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-pip-"));
  try {
    cpSync(shim, join(folder, "source"), { recursive: true });
    const target = join(folder, "installed");
    const flags = ["--no-index", "--no-deps", "--disable-pip-version-check", "--quiet"];
    execFileSync("python3", ["-m", "pip", "install", ...flags, "--target", target, "./source"], {
      cwd: folder,
      stdio: ["ignore", "ignore", "inherit"],
    });
    const env = { ...process.env, PYTHONPATH: target };
    const usage = spawnSync("python3", ["-m", "bettertest", "--help"], { cwd: folder, env });
    assert.match(String(usage.stdout), /usage: python3 -m bettertest/);
    const script =
      "import bettertest, importlib.metadata as m; assert m.version('bettertest') == bettertest.__version__; print(bettertest.__file__)";
    assert.equal(
      String(execFileSync("python3", ["-c", script], { cwd: folder, env })),
      `${join(target, "bettertest/__init__.py")}\n`,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
