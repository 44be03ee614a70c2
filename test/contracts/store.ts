// What every store must do. Call it with a way to open an empty one.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Store } from "../../src/boss/store/store.js";
import type { RunCreated, RunEvent } from "../../src/model/events.js";

export const runCreated = (pipelineName = "shop"): RunCreated => ({
  type: "run-created",
  at: 1,
  pipelineName,
  pipedef: "/repo/.bettertest/pipedef.ts",
  keepGoing: false,
  trigger: "test",
});
const loaded: RunEvent = {
  type: "run-loaded",
  at: 2,
  pipeline: {
    stages: [{ name: "Unit", always: false, tasks: [{ name: "task_a" }] }],
    warnings: [],
  },
};
const finished: RunEvent = { type: "run-finished", at: 9, verdict: "passed" };

export function storeContract(name: string, open: () => Store) {
  describe(`store contract: ${name}`, () => {
    test("run ids count from 1 and are never used twice", () => {
      const store = open();
      assert.deepEqual([store.nextRunId(), store.nextRunId(), store.nextRunId()], [1, 2, 3]);
      store.close();
    });

    test("a run is the fold of its events", () => {
      const store = open();
      const id = store.nextRunId();
      store.append(id, runCreated());
      assert.equal(store.run(id)?.status, "queued");
      store.append(id, loaded);
      store.append(id, {
        type: "attempt-started",
        at: 3,
        stage: "Unit",
        task: "task_a",
        attempt: 1,
      });
      assert.equal(store.run(id)?.stages[0]?.tasks[0]?.status, "running");
      store.append(id, finished);
      assert.equal(store.run(id)?.status, "passed");
      assert.equal(store.run(id)?.finishedAt, 9);
      store.close();
    });

    test("the results of a run say how each task ended, also while it runs", () => {
      const store = open();
      const id = store.nextRunId();
      const attempt = { stage: "Unit", task: "task_a", attempt: 1 };
      const failure = { kind: "exit", command: "false", exitCode: 1 } as const;
      store.append(id, runCreated());
      store.append(id, loaded);
      assert.deepEqual(store.results(id), [
        { stage: "Unit", tasks: [["task_a", "waiting", null]] },
      ]);
      store.append(id, { type: "attempt-started", at: 3, ...attempt });
      const end = { status: "failed", failure } as const;
      store.append(id, { type: "attempt-finished", at: 5, ...attempt, end, retried: true });
      store.append(id, { type: "attempt-started", at: 6, ...attempt, attempt: 2 });
      store.append(id, {
        type: "attempt-finished",
        at: 8,
        ...attempt,
        attempt: 2,
        end: { status: "passed" },
      });
      store.append(id, finished);
      assert.deepEqual(store.results(id), [{ stage: "Unit", tasks: [["task_a", "flaky", 2]] }]);
      store.remove(id);
      assert.deepEqual(store.results(id), []);
      assert.deepEqual(store.results(99), []);
      store.close();
    });

    test("an event of a run nobody created is refused", () => {
      const store = open();
      assert.throws(() => store.append(7, loaded), /run 7 does not exist/);
      assert.equal(store.lastSeq(), 0);
      store.close();
    });

    test("sequence numbers grow over all runs; a reader of one run sees only its own, in order", () => {
      const store = open();
      const [a, b] = [store.nextRunId(), store.nextRunId()];
      for (const [run, event] of [
        [a, runCreated()],
        [b, runCreated()],
        [a, loaded],
        [b, finished],
        [a, finished],
      ] as const) {
        store.append(run, event);
      }
      assert.equal(store.lastSeq(), 5);
      assert.deepEqual(
        store.events({ after: 0, limit: 10 }).map(({ seq, run }) => [seq, run]),
        [
          [1, a],
          [2, b],
          [3, a],
          [4, b],
          [5, a],
        ],
      );
      assert.deepEqual(
        store.events({ run: a, after: 0, limit: 10 }).map(({ seq }) => seq),
        [1, 3, 5],
      );
      assert.deepEqual(
        store.events({ run: a, after: 1, limit: 1 }).map(({ seq }) => seq),
        [3],
      );
      assert.deepEqual(
        store.events({ run: a, after: 2, limit: 9 }).map(({ seq }) => seq),
        [3, 5],
      );
      assert.deepEqual(store.events({ run: a, after: 5, limit: 9 }), []);
      assert.deepEqual(store.events({ run: 99, after: 0, limit: 9 }), []);
      assert.deepEqual(
        store.events({ after: 3, limit: 1 }).map(({ event }) => event),
        [finished],
      );
      store.close();
    });

    test("a run can be pinned, also after its end", () => {
      const store = open();
      const id = store.nextRunId();
      store.append(id, runCreated());
      store.append(id, { type: "pin-changed", at: 2, pinned: true, by: "me" });
      store.append(id, finished);
      assert.deepEqual(store.ended(), [{ id, finishedAt: 9, pinned: true }]);
      assert.equal(store.runs({ limit: 1 })[0]?.pinned, true);
      store.append(id, { type: "pin-changed", at: 10, pinned: false, by: "me" });
      assert.deepEqual(store.ended(), [{ id, finishedAt: 9, pinned: false }]);
      assert.equal(store.run(id)?.pinned, false);
      store.close();
    });

    test("a run that has ended can be removed; its number is not given again", () => {
      const store = open();
      const [a, b] = [store.nextRunId(), store.nextRunId()];
      store.append(a, runCreated());
      store.append(b, runCreated());
      store.append(b, finished);
      assert.deepEqual(store.ended(), [{ id: b, finishedAt: 9, pinned: false }]);
      store.remove(a);
      assert.equal(store.run(a)?.status, "queued", "one under way stays");
      store.remove(b);
      assert.equal(store.run(b), undefined);
      assert.deepEqual(store.events({ run: b, after: 0, limit: 9 }), []);
      assert.deepEqual(
        store.events({ after: 0, limit: 9 }).map(({ run }) => run),
        [a],
      );
      assert.deepEqual(
        store.runs({ limit: 9 }).map((run) => run.id),
        [a],
      );
      assert.deepEqual(store.ended(), []);
      assert.equal(store.lastSeq(), 3);
      assert.equal(store.nextRunId(), b + 1);
      assert.equal(store.append(a, finished).seq, 4);
      store.close();
    });

    test("runs are listed newest first, in pages, and by pipeline", () => {
      const store = open();
      for (const name of ["shop", "blog", "shop", "shop"])
        store.append(store.nextRunId(), runCreated(name));
      const ids = (query: Parameters<Store["runs"]>[0]) => store.runs(query).map((run) => run.id);
      assert.deepEqual(ids({ limit: 10 }), [4, 3, 2, 1]);
      assert.deepEqual(ids({ limit: 2 }), [4, 3]);
      assert.deepEqual(ids({ limit: 2, before: 3 }), [2, 1]);
      assert.deepEqual(ids({ limit: 10, pipeline: "blog" }), [2]);
      store.close();
    });
  });
}
