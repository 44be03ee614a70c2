// `npm run bench`: builds, then measures against what people use today. See bench/main.ts.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { ensureDependencies, exitWith, root } from "./setup.mjs";

try {
  await ensureDependencies();
  const { build } = await import("./build.mjs");
  await build();
  const { status } = spawnSync(
    process.execPath,
    ["--expose-gc", join(root, "dist/bench/main.js"), ...process.argv.slice(2)],
    { cwd: root, stdio: "inherit" },
  );
  process.exitCode = status ?? 1;
} catch (error) {
  exitWith(error, 1);
}
