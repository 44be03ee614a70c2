import assert from "node:assert/strict";
import { test } from "node:test";
import { digestOf } from "../../../src/boss/run/call-digest.js";

test("is what earlier bosses have stored, so that their runs go on", () => {
  const plain = { image: "debian", command: "make test" };
  assert.equal(
    digestOf({ worker: null, request: plain }),
    "Y6xN4uA-c9flWH2trQcgXcbeoAjhErG45UJsPZBkucA",
  );
  const request = {
    workdir: "/a",
    image: 'd "é"',
    timeoutMs: 1.5,
    env: { B: "1", A: "\n" },
    command: "x",
    artifacts: ["a", "b"],
    user: undefined,
    network: false,
    source: { path: "/x", kind: "workspace" as const },
  };
  assert.equal(
    digestOf({ worker: "http://w:9009", request }),
    "TOttCMIoS6yMq_RCC9SCujJgGxTxsFzLMZ_TrVirTuo",
  );
});

test("does not depend on the order of the options, and on all else", () => {
  const request = { image: "debian", command: "make", env: { A: "1", B: "2" }, pids: 3 };
  const turned = { pids: 3, env: { B: "2", A: "1" }, command: "make", image: "debian" };
  const digest = digestOf({ worker: null, request });
  assert.equal(digestOf({ worker: null, request: turned }), digest);
  const others = [
    { worker: "http://w:9009", request },
    { worker: null, request: { ...request, command: "make " } },
    { worker: null, request: { ...request, env: { A: "12", B: "" } } },
    { worker: null, request: { image: "debian", command: "make" } },
  ];
  for (const other of others) assert.notEqual(digestOf(other), digest);
});
