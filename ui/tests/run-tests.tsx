// The tests of a whole run that failed, each leading to its task.

import { taskLabel } from "../../src/model/pipeline.js";
import { eachTask, filesOf, type Run } from "../../src/model/run.js";
import { testLabel } from "../../src/model/test-results.js";
import { taskHref } from "../route.js";

const mostShown = 5;

export function RunTests({ run }: { readonly run: Run }) {
  const failing = [...eachTask(run)]
    .filter(({ task }) => task.status !== "passed")
    .flatMap(({ ref, task }) =>
      filesOf(task).flatMap(({ tests }) =>
        (tests?.failures ?? []).map((test) => ({ ref, test, label: taskLabel(ref) })),
      ),
    );
  const total = [...eachTask(run)]
    .filter(({ task }) => task.status !== "passed")
    .flatMap(({ task }) => filesOf(task))
    .reduce((sum, { tests }) => sum + (tests?.failed ?? 0), 0);
  if (total === 0) return null;
  return (
    <p class="run-tests">
      <b>
        {total} {total === 1 ? "test" : "tests"} failed:
      </b>{" "}
      {failing.slice(0, mostShown).map(({ ref, test, label }, index) => (
        // Two tests may have one name.
        <a key={index} href={taskHref(run.id, ref)} title={label}>
          <bdi>{testLabel(test)}</bdi>
        </a>
      ))}
      {total > mostShown && <span class="quiet">and {total - mostShown} more</span>}
    </p>
  );
}
