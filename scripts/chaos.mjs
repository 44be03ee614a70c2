// `npm run chaos -- --minutes N [--seed S]`: kills, cuts and fills what bettertest stands on, and compares
// what it says with what happened. CONTRIBUTING.md says more.
import { ensureDependencies, exitWith, root } from "./setup.mjs";

try {
  await ensureDependencies();
  const { build } = await import("./build.mjs");
  await build();
  const { main } = await import(`${root}dist/test/chaos/main.js`);
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  exitWith(error);
}
