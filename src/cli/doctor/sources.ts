import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asError } from "../../lib/as-error.js";
import { overlayProblem } from "../../worker/sources/overlay.js";
import { type Finding, ok, warning } from "./check.js";

/** How tasks get the code under test: `folder` is on the disk where it will lie. */
export async function sourcesFinding(folder: string): Promise<Finding> {
  const parent = existsSync(folder) ? folder : tmpdir();
  try {
    const probe = await mkdtemp(join(parent, "bettertest-doctor-"));
    const problem = await overlayProblem(probe).finally(() =>
      rm(probe, { recursive: true, force: true }),
    );
    if (problem === null) return ok("sources", "each task sees them through an overlay");
    const hint = "Right, but slower. Overlays need Linux, and a worker that runs as root";
    return warning("sources", `each task gets a copy, since ${problem}`, hint);
  } catch (error) {
    return warning("sources", asError(error).message, `Can ${parent} be written?`);
  }
}
