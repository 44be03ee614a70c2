import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { RunStatus } from "../../src/model/run.js";
import { summarizeRun } from "../../src/model/run-summary.js";
import { parseRoute } from "../../ui/route.js";
import { initialState, type State } from "../../ui/state.js";
import { statusToTell, titleOf } from "../../ui/title.js";
import { type Message, update } from "../../ui/update.js";
import { at } from "./address.js";
import { askedFor } from "./run-story.js";

const summary = (id: number, status: RunStatus) => ({
  ...summarizeRun(askedFor(id)),
  status,
  finishedAt: status === "running" ? null : 1,
});

function after(path: string, messages: readonly Message[]): State {
  const runs = [summary(6, "running"), summary(5, "failed"), summary(4, "passed")];
  const told: Message[] = [{ type: "runs-loaded", runs }, ...messages];
  return told.reduce(update, initialState(parseRoute(at(path)), 0));
}

const look = (path: string): Message => ({ type: "route-changed", route: parseRoute(at(path)) });
const watch5: Message = { type: "watch", run: 5, on: true };

test("title and icon tell of the shown run, else of the newest", () => {
  const shown = after("/runs/4", []);
  assert.deepEqual([titleOf(shown), statusToTell(shown)], ["✓ run 4 passed - demo", "passed"]);
  const home = after("/", []);
  assert.deepEqual([titleOf(home), statusToTell(home)], ["▶ bettertest", "running"]);
});

test("what the reader watches goes before both, until they have seen its end", () => {
  const home = after("/", [watch5]);
  assert.deepEqual([titleOf(home), statusToTell(home)], ["✗ run 5 failed - bettertest", "failed"]);
  const other = after("/runs/4", [watch5]);
  assert.equal(titleOf(other), "✗ run 5 failed - ✓ run 4 passed - demo");
  const seen = after("/", [watch5, look("/runs/5")]);
  assert.equal(titleOf(seen), "✗ run 5 failed - demo");
  const gone = update(seen, look("/"));
  assert.deepEqual([titleOf(gone), statusToTell(gone)], ["▶ bettertest", "running"]);
  const running = after("/runs/6", [{ type: "watch", run: 6, on: true }, look("/runs/4")]);
  assert.equal(titleOf(running), "▶ run 6 running - ✓ run 4 passed - demo");
});

test("before anything is known the icon has no verdict", () => {
  const page = readFileSync(new URL("../../../ui/index.html", import.meta.url), "utf8");
  const [icon = ""] = /<link rel="icon"[^>]*>/.exec(page) ?? [];
  assert.match(icon, /%235b656f/, "gray");
  assert.doesNotMatch(icon, /path/);
  assert.equal(statusToTell(initialState(parseRoute(at("/")), 0)), null);
});
