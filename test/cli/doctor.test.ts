import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { isAtLeast, nodeFinding } from "../../src/cli/doctor/programs.js";
import { cli } from "./rig.js";

interface Finding {
  readonly name: string;
  readonly status: string;
  readonly detail: string;
  readonly hint?: string;
}

suite("doctor", () => {
  test("says what it looked at, and its exit code is its verdict", async () => {
    const { exitCode, stdout } = await cli(["doctor", "--json"]);
    const { ok, findings }: { ok: boolean; findings: Finding[] } = JSON.parse(stdout);
    const names = findings.map(({ name }) => name);
    for (const name of [
      "node",
      "python3",
      "git",
      "docker",
      "disk limits",
      "port 9001",
      "port 9009",
      "data disk",
    ]) {
      assert.ok(names.includes(name), name);
    }
    assert.equal(exitCode, ok ? 0 : 3);
    for (const finding of findings) {
      assert.equal(finding.status !== "ok", finding.hint !== undefined, finding.name);
    }
  });

  test("no engine: where it looked and what to do, exit 3", async () => {
    const env = { DOCKER_HOST: "unix:///nowhere/docker.sock" };
    const { exitCode, stdout } = await cli(["doctor"], { env });
    assert.equal(exitCode, 3);
    assert.match(stdout, /✗ docker .*no engine answers at unix:\/\/\/nowhere\/docker\.sock/);
    assert.match(stdout, /--executor process/);
    assert.match(stdout, /\d things? to mend\.\n$/);
  });

  test("an old Node is wrong", () => {
    assert.equal(nodeFinding("20.18.0").status, "wrong");
    assert.equal(nodeFinding("20.19.0").status, "ok");
    assert.ok(isAtLeast("24.1.0", [20, 19]));
  });
});
