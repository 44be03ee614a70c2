import assert from "node:assert/strict";
import { test } from "node:test";
import { filesBuildRequest } from "../../runtime/files-build.js";
import { commandRequest } from "../../runtime/run-options.js";

test("three texts name a worker, two do not", () => {
  assert.deepEqual(commandRequest(["http://w:9009", "img", "ls"]), {
    worker: "http://w:9009",
    request: { image: "img", command: "ls" },
    check: true,
  });
  assert.deepEqual(commandRequest(["img", "ls", { check: false, timeout: 1.5, memory: 1024 }]), {
    worker: null,
    request: { image: "img", command: "ls", timeoutMs: 1500, memoryBytes: 1024 },
    check: false,
  });
  assert.deepEqual(commandRequest(["img", "ls", undefined]).request, {
    image: "img",
    command: "ls",
  });
  assert.deepEqual(commandRequest(["img", "ls", { user: undefined }]).request, {
    image: "img",
    command: "ls",
  });
});

test("a wrong argument is refused by its name, with what it should be", () => {
  const cases: [unknown[], RegExp][] = [
    [[], /^run: image must be the name of an image, or what image\(\.\.\.\) gave, not undefined$/],
    [["img"], /^run: command must be a text/],
    [["img", ""], /^run: command must be a text that sh can run, not ""$/],
    [
      ["localhost:9009", "img", "ls"],
      /^run: worker must be a URL, such as "http:\/\/localhost:9009", not "localhost:9009"$/,
    ],
    [["img with spaces", "ls"], /^run: image must be/],
    [["img", "ls", {}, 1], /^run: takes \(worker, image, command, options\?\), got 4 arguments$/],
    [["img", "ls", 7], /^run: options must be an object/],
    [["img", "ls", []], /^run: options must be an object/],
    [
      ["img", "ls", { timeuot: 1 }],
      /^run: there is no option "timeuot"\. There are: env, secrets, workdir,/,
    ],
    [
      ["img", "ls", { timeout: "soon" }],
      /^run: timeout must be seconds, or a text such as "90s" or "5m", not "soon"$/,
    ],
    [["img", "ls", { timeout: -1 }], /^run: timeout/],
    [["img", "ls", { memory: "much" }], /^run: memory must be bytes/],
    [["img", "ls", { disk: "much" }], /^run: disk must be bytes/],
    [["img", "ls", { cpus: 0 }], /^run: cpus must be a number above 0/],
    [["img", "ls", { pids: 1.5 }], /^run: pids must be a whole number above 0/],
    [["img", "ls", { network: "no" }], /^run: network must be true or false, not "no"$/],
    [["img", "ls", { check: 0 }], /^run: check must be true or false, not 0$/],
    [["img", "ls", { workdir: "src" }], /^run: workdir must be an absolute path/],
    [["img", "ls", { user: "" }], /^run: user/],
    [["img", "ls", { env: ["A=1"] }], /^run: env must be an object of texts, not a list$/],
    [["img", "ls", { env: { A: 1 } }], /^run: env\.A must be a text, not 1$/],
    [["img", "ls", { env: { "A=B": "1" } }], /^run: env has a name/],
  ];
  for (const [given, message] of cases) {
    assert.throws(() => commandRequest(given), { name: "TypeError", message });
  }
});

test("a build is a command that says which files it is for", () => {
  const source = { kind: "workspace" } as const;
  const options = { source, reads: "src/**", artifacts: "out", env: { A: "1" } };
  const request = { image: "img", command: "make", source, artifacts: ["out"], env: { A: "1" } };
  assert.deepEqual(filesBuildRequest(["img", "make", options]), {
    worker: null,
    request: { ...request, filesBuild: { reads: ["src/**"] } },
  });
  assert.deepEqual(filesBuildRequest(["http://w:9009", "img", "make", { artifacts: "out" }]), {
    worker: "http://w:9009",
    request: { image: "img", command: "make", artifacts: ["out"], filesBuild: {} },
  });
  const cases: [unknown[], RegExp][] = [
    [["img", "make"], /^build: options must be an object with any of: artifacts, reads, env,/],
    [["img", "make", {}], /^build: artifacts must say which files it is for/],
    [["img", "make", { artifacts: [] }], /^build: artifacts must say which files it is for/],
    [["img", "make", { artifacts: "/out" }], /^build: artifacts must stay in the folder/],
    [["img", "make", { artifacts: "a", results: "b" }], /^build: .*"results": tests always run/],
    [["img", "make", { artifacts: "a", services: {} }], /^build: there is no option "services": /],
    [["img", "make", { artifacts: "a", check: false }], /^build: there is no option "check": /],
    [
      ["img", "make", { artifacts: "a", retries: 1 }],
      /^build: .*"retries"\. There are: artifacts,/,
    ],
    [["img", "make", { artifacts: "a", reads: "b" }], /^build: reads names files of the source/],
    [["img", "make", { artifacts: "a", source, reads: [] }], /^build: reads must hold 1 to 100/],
    [["img", "make", { artifacts: "a", source, reads: "../b" }], /^build: reads must stay in/],
    [["img", "", { artifacts: "a" }], /^build: command must be a text that sh can run, not ""$/],
  ];
  for (const [given, message] of cases)
    assert.throws(() => filesBuildRequest(given), { name: "TypeError", message });
});
