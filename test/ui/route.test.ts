import assert from "node:assert/strict";
import { test } from "node:test";
import { hrefOf, parseRoute, type Route, taskHref } from "../../ui/route.js";
import { at } from "./address.js";

test("addresses hold any name of stage and task", () => {
  for (const name of ["plain", "a/b", "a.b#c?d", "50%", "ü 日本", "<b>", "timeline", "\\"]) {
    const task = { stage: name, task: `${name} task` };
    assert.deepEqual(parseRoute(at(taskHref(4, task))), {
      page: "run",
      run: 4,
      task,
      attempt: null,
      lines: null,
    });
    const history: Route = { page: "history", pipeline: name };
    assert.deepEqual(parseRoute(at(hrefOf(history))), history);
  }
});

test("every place comes back from its own address", () => {
  const task = { stage: "Unit", task: "one" };
  const places: Route[] = [
    { page: "home" },
    { page: "workers" },
    { page: "timeline", run: 3 },
    { page: "compare", left: 3, right: 12 },
    { page: "run", run: 12, task: null, attempt: null, lines: null },
    { page: "run", run: 12, task, attempt: 2, lines: { from: 10, to: 20 } },
    { page: "run", run: 12, task, attempt: null, lines: { from: 7, to: 7 } },
  ];
  for (const place of places) assert.deepEqual(parseRoute(at(hrefOf(place))), place, hrefOf(place));
});

test("lines may be named backwards; what names none is left out", () => {
  const linesOf = (hash: string) => {
    const route = parseRoute(at(`/runs/1/Unit/one${hash}`));
    return route.page === "run" ? route.lines : undefined;
  };
  assert.deepEqual(linesOf("#L20-L10"), { from: 10, to: 20 });
  for (const odd of ["", "#", "#L0", "#Lx", "#L1-", "#12"]) assert.equal(linesOf(odd), null, odd);
});

test("what is no address is said to be none", () => {
  for (const odd of [
    "/runs",
    "/runs/x",
    "/runs/0",
    "/runs/1/only",
    "/runs/1/%/x",
    "/nowhere",
    "/compare/1",
  ]) {
    assert.deepEqual(parseRoute(at(odd)), { page: "missing", path: odd });
  }
});
