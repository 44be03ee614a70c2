// What the commands of a run have left: its tests, one by one, and its artifacts.

import { createReadStream } from "node:fs";
import { basename } from "node:path";
import { type Context, Hono } from "hono";
import type { Artifact, TestVerdict } from "../../model/test-results.js";
import { BadRequest } from "../../wire/body.js";
import type { ArtifactsView, TestsView, TestView } from "../../wire/boss.js";
import { bytesResponse } from "../../wire/stream.js";
import type { Engine } from "../engine.js";
import { NotFound, numberParameter } from "../request.js";
import { artifactsOf, blobOf, type KeptFor, testsOf } from "../run/kept-files.js";
import { theRun } from "./runs.js";

const verdicts: readonly string[] = ["passed", "failed", "skipped"] satisfies TestVerdict[];
const mostTests = 10_000;

export function resultRoutes(engine: Engine): Hono {
  const app = new Hono();

  app.get("/:id/tests", async (c) => {
    const run = theRun(engine, c);
    const limit = numberParameter(c, "limit", { min: 1, max: mostTests }) ?? 1_000;
    const skip = numberParameter(c, "skip", { min: 0 }) ?? 0;
    const verdict = verdictIn(c);
    const tests: TestView[] = [];
    let seen = 0;
    let more = false;
    for await (const test of testsOf(run, engine.outputs, { ...whichIn(c), verdict })) {
      seen += 1;
      if (seen <= skip) continue;
      more = tests.length >= limit;
      if (more) break;
      tests.push(test);
    }
    return c.json({ tests, more } satisfies TestsView);
  });

  app.get("/:id/artifacts", async (c) => {
    const artifacts: Artifact[] = [];
    const run = theRun(engine, c);
    for await (const one of artifactsOf(run, engine.outputs, whichIn(c))) artifacts.push(one);
    return c.json({ artifacts } satisfies ArtifactsView);
  });

  app.get("/:id/artifacts/:path{.+}", async (c) => {
    const run = theRun(engine, c);
    const path = c.req.param("path");
    const found: Artifact[] = [];
    for await (const one of artifactsOf(run, engine.outputs, whichIn(c))) {
      if (one.path === path) found.push(one);
    }
    const last = found.at(-1);
    if (!last) throw new NotFound(`run ${run.id} has no artifact ${JSON.stringify(path)}`);
    const others = new Set(found.map(({ stage, task }) => `${stage}.${task}`));
    if (others.size > 1) {
      const which = [...others].slice(0, 8).join(", ");
      throw new BadRequest(`several tasks have left it, say which by stage and task: ${which}`, {
        field: "task",
      });
    }
    const blob = await blobOf(run, engine.outputs, last);
    if (blob === null) throw new NotFound("this artifact is not there any more");
    // Opened when it is read, which the answer to a HEAD never is.
    const bytes = engine.outputStreams.counted(async function* () {
      yield* createReadStream(blob);
    });
    return bytesResponse(bytes, { headers: safeHeaders(last) });
  });

  return app;
}

/** A browser must neither show nor run what a test has made, whatever it looks like. */
function safeHeaders({ path, bytes, sha256 }: Artifact): Record<string, string> {
  const name = basename(path);
  const plain = name.replace(/[^\w.+ -]/g, "_");
  return {
    "content-type": "application/octet-stream",
    "content-disposition": `attachment; filename="${plain}"; filename*=UTF-8''${rfc5987(name)}`,
    "content-security-policy": "sandbox; default-src 'none'",
    "x-content-type-options": "nosniff",
    "cache-control": "private, no-cache",
    "bettertest-bytes": String(bytes),
    etag: `"${sha256}"`,
  };
}

function rfc5987(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, "_")).replace(
    /['()*!]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function whichIn(c: Context): KeptFor {
  return {
    stage: c.req.query("stage"),
    task: c.req.query("task"),
    attempt: numberParameter(c, "attempt", { min: 1 }),
    call: numberParameter(c, "call", { min: 1 }),
  };
}

function verdictIn(c: Context): TestVerdict | undefined {
  const verdict = c.req.query("verdict");
  if (verdict === undefined) return undefined;
  const known = (["passed", "failed", "skipped"] as const).find((one) => one === verdict);
  if (known) return known;
  throw new BadRequest(`verdict: must be one of ${verdicts.join(", ")}`, { field: "verdict" });
}
