// What the commands of an attempt have left: the tests that failed, by name, and the files that were kept.

import { useState } from "preact/hooks";
import type { AttemptRef } from "../../src/model/events.js";
import {
  type Artifact,
  commandOfTest,
  describeTests,
  type FilesSummary,
  type TestCase,
  type TestsSummary,
  testLabel,
  testPlace,
} from "../../src/model/test-results.js";
import type { ArtifactsView, TestsView } from "../../src/wire/boss.js";
import { formatBytes } from "../format.js";
import { reasonOf } from "../refusal.js";
import { ask } from "../request.js";

interface Props {
  readonly run: number;
  readonly attempt: AttemptRef;
  readonly files: Readonly<Record<number, FilesSummary>> | undefined;
}

/** No trouble, unlike what else there is to say of files. */
const cacheNews = /^cache (hit|miss): /;

export function TaskFiles({ run, attempt, files = {} }: Props) {
  const all = Object.values(files);
  const tests = all.flatMap((one) => one.tests ?? []);
  const notes = all.flatMap((one) => one.notes);
  const kept = all.flatMap((one) => one.artifacts ?? []);
  if (tests.length + notes.length + kept.length === 0) return null;
  return (
    <div class="task-files">
      {tests.map((summary, index) => (
        // Calls keep their order.
        <Tests key={index} run={run} attempt={attempt} summary={summary} />
      ))}
      {notes.map((note) => (
        <p key={note} class={cacheNews.test(note) ? "files-note is-calm" : "files-note"}>
          {note}
        </p>
      ))}
      {kept.length > 0 && (
        <Artifacts
          run={run}
          attempt={attempt}
          files={kept.reduce((sum, one) => sum + one.files, 0)}
          bytes={kept.reduce((sum, one) => sum + one.bytes, 0)}
        />
      )}
    </div>
  );
}

interface TestsProps {
  readonly run: number;
  readonly attempt: AttemptRef;
  readonly summary: TestsSummary;
}

function Tests({ run, attempt, summary }: TestsProps) {
  const { failed, failures } = summary;
  const details = useFetched<TestsView>(urlOf(run, attempt, "tests", { verdict: "failed" }));
  const detailsOf = (test: TestCase) =>
    details.value?.tests.find(({ suite, name }) => suite === test.suite && name === test.name)
      ?.details;
  return (
    <section aria-label="Tests">
      <p class={failed > 0 ? "tests-count is-failed" : "tests-count quiet"}>
        {describeTests(summary)}
      </p>
      {failures.length > 0 && (
        <ul class="failing-tests">
          {failures.map((test, index) => (
            // Two tests may have one name.
            <li key={index}>
              <details onToggle={(event) => event.currentTarget.open && details.fetch()}>
                <summary>
                  <b>
                    <bdi>{testLabel(test)}</bdi>
                  </b>{" "}
                  {testPlace(test) !== null && <code>{testPlace(test)}</code>}
                  {test.message !== undefined && (
                    <span class="test-message">{test.message.split("\n", 1)[0]}</span>
                  )}
                </summary>
                <pre>{detailsOf(test) ?? details.problem ?? test.message ?? ""}</pre>
                <InnerCommand test={test} summary={summary} />
              </details>
            </li>
          ))}
        </ul>
      )}
      {failed > failures.length && (
        <p class="quiet">
          <a href={urlOf(run, attempt, "tests", { verdict: "failed" })}>
            and {failed - failures.length} more
          </a>
        </p>
      )}
    </section>
  );
}

function InnerCommand({ test, summary }: { test: TestCase; summary: TestsSummary }) {
  const command = commandOfTest(test, summary.framework);
  return command === null ? null : <code class="inner-command">{command}</code>;
}

interface ArtifactsProps {
  readonly run: number;
  readonly attempt: AttemptRef;
  readonly files: number;
  readonly bytes: number;
}

function Artifacts({ run, attempt, files, bytes }: ArtifactsProps) {
  const list = useFetched<ArtifactsView>(urlOf(run, attempt, "artifacts"));
  return (
    <details class="artifacts" onToggle={(event) => event.currentTarget.open && list.fetch()}>
      <summary>
        {files} {files === 1 ? "artifact" : "artifacts"} ({formatBytes(bytes)})
      </summary>
      {list.problem !== null && <p class="files-note">{list.problem}</p>}
      <ul>
        {list.value?.artifacts.map((one) => (
          <li key={`${one.call} ${one.path}`}>
            <a href={downloadUrl(run, one)} download="">
              <bdi>{one.path}</bdi>
            </a>{" "}
            <span class="quiet">{formatBytes(one.bytes)}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}

/** Asked for once, when the reader wants to see it. */
function useFetched<T>(url: string) {
  const [value, setValue] = useState<T | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const fetch = () => {
    if (value !== null) return;
    setProblem(null);
    ask<T>(url).then(setValue, (error: unknown) => setProblem(reasonOf(error)));
  };
  return { value, problem, fetch };
}

function urlOf(
  run: number,
  { stage, task, attempt }: AttemptRef,
  what: string,
  more: Readonly<Record<string, string>> = {},
): string {
  const query = new URLSearchParams({ ...more, stage, task, attempt: String(attempt) });
  return `/api/runs/${run}/${what}?${query}`;
}

function downloadUrl(run: number, artifact: Artifact): string {
  const path = artifact.path.split("/").map(encodeURIComponent).join("/");
  return urlOf(run, artifact, `artifacts/${path}`, { call: String(artifact.call) });
}
