import assert from "node:assert/strict";
import { test } from "node:test";
import { Histogram, openMetricsText, Tally } from "../../src/lib/openmetrics.js";

test("a label's value cannot leave its quotes", () => {
  const tally = new Tally("who", []);
  tally.add('a"} 1\nevil{x="\\');
  assert.equal(
    openMetricsText([tally.counter("runs", "Runs")]),
    '# TYPE runs counter\n# HELP runs Runs\nruns_total{who="a\\"} 1\\nevil{x=\\"\\\\"} 1\n# EOF\n',
  );
});

test("buckets add up, and a clock that went back counts as no time", () => {
  const histogram = new Histogram([0.5, 1]);
  for (const value of [-3, 0.5, 0.7, 9]) histogram.observe(value);
  assert.deepEqual(
    histogram.family("wait", "Wait").samples.map(({ value }) => value),
    [2, 3, 4, 4, 10.2],
  );
});
