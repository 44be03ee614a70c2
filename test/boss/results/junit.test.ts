import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { commandOfTest } from "../../../src/model/test-results.js";
import { glanceAt, readReport } from "./read.js";

/** As each of these programs writes it, shortened. */
const dialects = {
  pytest: {
    xml: `<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="4" time="0.041" timestamp="2026-01-02T03:04:05.678901+00:00" hostname="box">
<testcase classname="test.test_models.TestUser" name="test_ok" time="0.001" />
<testcase classname="test.test_models.TestUser" name="test_total[1-2]" time="0.002"><failure message="assert 3 == 4&#10; +  where 3 = total()">self = &lt;test.test_models.TestUser object&gt;

    def test_total(self):
&gt;       assert total() == 4
E       assert 3 == 4

test/test_models.py:12: AssertionError</failure></testcase>
<testcase classname="test.test_models" name="test_later" time="0.000"><skipped type="pytest.skip" message="not today">/src/test/test_models.py:20: not today</skipped></testcase>
<testcase classname="test.test_models" name="test_db" time="0.000"><error message="failed on setup with &quot;RuntimeError: no database&quot;">test/conftest.py:3: RuntimeError</error></testcase>
</testsuite></testsuites>`,
    glance: [
      "passed | test.test_models.TestUser | test_ok",
      "failed | test.test_models.TestUser | test_total[1-2] | test/test_models.py:12 | assert 3 == 4\n +  where 3 = total()",
      "skipped | test.test_models | test_later | not today",
      'failed | test.test_models | test_db | test/conftest.py:3 | failed on setup with "RuntimeError: no database"',
    ],
    command: "pytest 'test/test_models.py::TestUser::test_total[1-2]'",
  },
  jest: {
    xml: `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="jest tests" tests="2" failures="1" errors="1" time="1.2">
  <testsuite name="sums" errors="0" failures="1" skipped="0" file="test/sums.test.js" tests="2">
    <testcase classname="sums adds" name="sums adds" time="0.01"></testcase>
    <testcase classname="sums carries (a)" name="sums carries (a)" time="0.02"><failure>Error: expect(received).toBe(expected)
    at Object.toBe (/src/test/sums.test.js:9:15)
    at node_modules/jest/x.js:1:1</failure></testcase>
  </testsuite>
  <testsuite name="test/broken.test.js" errors="1" failures="0" file="test/broken.test.js" tests="0"/>
</testsuites>`,
    glance: [
      "passed | sums adds | sums adds | test/sums.test.js:?",
      "failed | sums carries (a) | sums carries (a) | test/sums.test.js:9 | Error: expect(received).toBe(expected)",
      "failed |  | test/broken.test.js | test/broken.test.js:? | the report counts a failure here that it does not name",
    ],
    command: "npx jest test/sums.test.js -t 'sums carries \\(a\\)'",
  },
  go: {
    xml: `<testsuites tests="2" failures="1" errors="0"><testsuite tests="2" failures="1" time="0.1" name="example.com/x/sum">
<properties><property name="go.version" value="go1.22.1 linux/amd64"></property></properties>
<testcase classname="example.com/x/sum" name="TestAdd" time="0.000000"></testcase>
<testcase classname="example.com/x/sum" name="TestCarry/two" time="0.010000"><failure message="Failed" type="">=== RUN   TestCarry/two
    sum_test.go:14: got 3, want 4
--- FAIL: TestCarry/two (0.01s)
</failure></testcase></testsuite></testsuites>`,
    glance: [
      "passed | example.com/x/sum | TestAdd",
      "failed | example.com/x/sum | TestCarry/two | sum_test.go:14 | sum_test.go:14: got 3, want 4",
    ],
    command: "go test -run '^TestCarry$/^two$' example.com/x/sum",
  },
  surefire: {
    xml: `<?xml version="1.0" encoding="UTF-8"?>
<testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="https://maven.apache.org/surefire/maven-surefire-plugin/xsd/surefire-test-report.xsd" name="com.example.SumTest" time="1,234.5" tests="3" errors="0" skipped="0" failures="1">
  <properties><property name="java.vendor" value="x"/></properties>
  <testcase name="adds" classname="com.example.SumTest" time="1,234.5"><system-out><![CDATA[<failure>not one</failure>]]></system-out></testcase>
  <testcase name="flaky" classname="com.example.SumTest" time="0"><flakyFailure message="once" type="x"><stackTrace>y</stackTrace></flakyFailure></testcase>
  <testcase name="carries" classname="com.example.SumTest" time="0.1"><failure message="expected:&lt;4&gt; but was:&lt;3&gt;" type="java.lang.AssertionError"><![CDATA[java.lang.AssertionError
	at com.example.SumTest.carries(SumTest.java:21)]]></failure><rerunFailure message="again"/></testcase>
</testsuite>`,
    glance: [
      "passed | com.example.SumTest | adds",
      "passed | com.example.SumTest | flaky",
      "failed | com.example.SumTest | carries | SumTest.java:21 | expected:<4> but was:<3>",
    ],
    command: "mvn test -Dtest='com.example.SumTest#carries'",
  },
} as const;

suite("JUnit, as it is written by", () => {
  for (const [name, { xml, glance, command }] of Object.entries(dialects)) {
    test(name, () => {
      const report = readReport(xml);
      assert.equal(report.problem, null);
      assert.deepEqual(glanceAt(report), glance);
      assert.equal(report.framework, name);
      const failed = report.tests.find(({ verdict }) => verdict === "failed")!;
      assert.equal(commandOfTest(failed, report.framework), command);
      for (const bytes of [1, 7]) assert.deepEqual(readReport(xml, bytes), report);
    });
  }
});

test("suites in suites give a test its path; one that is right in a suite has a place", () => {
  const report = readReport(
    '<testsuites><testsuite name="a"><testsuite name="b"><testcase name="c" time="0.0015"/></testsuite><error message="no teardown"/></testsuite></testsuites>',
  );
  assert.deepEqual(report.tests, [
    { suite: "a › b", name: "c", verdict: "passed", ms: 1.5 },
    { suite: "", name: "a", verdict: "failed", message: "no teardown" },
  ]);
});

test("what is declared does no harm: entities stay unknown, whatever they would grow to", () => {
  const lols = Array.from(
    { length: 12 },
    (_, n) => `<!ENTITY l${n} "${`&l${n - 1};`.repeat(10)}">`,
  );
  const report = readReport(
    `<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">${lols.join("")}]><testsuite><testcase name="&l11;&f;&#x41;&#0;&#xD800;&amp;lt;"/></testsuite>`,
  );
  assert.equal(report.problem, null);
  assert.deepEqual(
    report.tests.map(({ name }) => name),
    ["&l11;&f;A&#0;&#xD800;&lt;"],
  );
});

suite("a report that is broken says where, and keeps what came before", () => {
  const red = '<testcase name="a"><failure message="no"/></testcase>';
  const cases: Record<string, [string, RegExp, number]> = {
    "cut off": [
      `<testsuite>\n${red}\n<testcase name="b`,
      /line 3: it ends, and <testsuite> is still open/,
      1,
    ],
    "wrongly nested": [
      `<testsuite>${red}</testcase></testsuite>`,
      /line 1: <\/testcase> stands where <testsuite> is open|<\/testcase>/,
      1,
    ],
    "no JUnit": ["<html><body/></html>", /it is no JUnit report: its first element is <html>/, 0],
    empty: [" \n", /it is empty/, 0],
    "neither XML nor TAP": ["hello\nworld\n", /neither XML nor TAP/, 0],
    "cut off in a failure": [
      `<testsuite><testcase name="a"/><testcase name="b"><failure message="boom">trace`,
      /<failure> is still open/,
      1,
    ],
    "a bare < in a failure": [
      `<testsuite failures="2"><testcase name="b"><failure>expected a < b</failure></testcase>${red}</testsuite>`,
      /a tag has no name/,
      2,
    ],
    "cut off behind what it announced": ['<testsuite failures="2"><testcase name="a"/>', /open/, 1],
    "no quotes": ["<testsuite name=a/>", /<testsuite> has a broken attribute/, 0],
    "too deep": ["<testsuite>".repeat(300), /nested too deep/, 0],
    "an endless tag": [`<testsuite name="${"x".repeat(3 << 20)}`, /a tag is too long/, 0],
  };
  for (const [name, [xml, words, tests]] of Object.entries(cases)) {
    test(name, () => {
      const report = readReport(xml);
      assert.match(report.problem ?? "", words);
      assert.equal(report.tests.filter(({ verdict }) => verdict === "failed").length, tests);
    });
  }
});

test("reports behind one another in one file are all read", () => {
  const one = (name: string) =>
    `<?xml version="1.0"?>\n<testsuite><testcase name="${name}"><failure message="no"/></testcase></testsuite>\n`;
  const report = readReport(one("a") + one("b"));
  assert.equal(report.problem, null);
  assert.deepEqual(glanceAt(report), ["failed |  | a | no", "failed |  | b | no"]);
});

test("other encodings: UTF-16 and Latin-1, and a byte order mark", () => {
  const xml = '<testsuite><testcase name="ä"/></testsuite>';
  const latin = `<?xml version="1.0" encoding="ISO-8859-1"?>${xml}`;
  for (const bytes of [
    Buffer.from(`\ufeff${xml}`),
    Buffer.from(`\ufeff${xml}`, "utf16le"),
    Buffer.from(latin, "latin1"),
  ]) {
    const { tests, problem } = readReport(bytes, 5);
    assert.deepEqual([tests[0]?.name, problem], ["ä", null]);
  }
});

test("a huge report is read in bounded memory, and an endless failure is cut", () => {
  const one =
    '<testcase classname="c" name="n"><failure message="m">' +
    "x".repeat(200_000) +
    "</failure></testcase>";
  const before = process.memoryUsage().heapUsed;
  const { tests, problem } = readReport(`<testsuite>${one.repeat(200)}</testsuite>`);
  assert.equal(problem, null);
  assert.equal(tests.length, 200);
  assert.ok(tests.every(({ details }) => details!.length < 33_000));
  assert.ok(process.memoryUsage().heapUsed - before < 200 * 2 ** 20);
});
