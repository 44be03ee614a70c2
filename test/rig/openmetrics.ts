// Reads OpenMetrics as strictly as the Prometheus project's own Python client does.

import { spawnSync } from "node:child_process";

/** The system's first: it is where the system's packages are. */
const pythons = ["/usr/bin/python3", "python3"];
const python = pythons.find(
  (path) => spawnSync(path, ["-c", "import prometheus_client.openmetrics.parser"]).status === 0,
);

/** False, or why not: to be given to a test's `skip`. */
export const noParser =
  python === undefined && "Python's prometheus_client is not installed (python3-prometheus-client)";

export interface ParsedFamily {
  readonly name: string;
  readonly type: string;
  readonly samples: readonly {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number;
  }[];
}

const program = `
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
json.dump([
    {"name": family.name, "type": family.type,
     "samples": [{"name": s.name, "labels": s.labels, "value": s.value} for s in family.samples]}
    for family in text_string_to_metric_families(sys.stdin.read())
], sys.stdout)
`;

export function parseOpenMetrics(text: string): readonly ParsedFamily[] {
  const { status, stdout, stderr } = spawnSync(python!, ["-c", program], {
    input: text,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`no OpenMetrics: ${stderr.trim().split("\n").at(-1)}\n${text}`);
  return JSON.parse(stdout);
}

/** `bettertest_runs_total{verdict="passed"}`: the value of the one series of that name and those labels. */
export function sampleOf(
  families: readonly ParsedFamily[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  return families
    .flatMap(({ samples }) => samples)
    .find(
      (sample) => sample.name === name && JSON.stringify(sample.labels) === JSON.stringify(labels),
    )?.value;
}
