import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { PipedefProblem } from "../../../runtime/host/host.js";
import { findInterpreter } from "../../../runtime/host/python/interpreter.js";
import type { Pipeline } from "../../../src/model/pipeline.js";
import { type Files, loadRig, openRig } from "./rig.js";

async function pipelineOf(source: string | Files): Promise<Pipeline> {
  await using rig = await openRig(source);
  const loaded = await rig.load();
  assert.ok(loaded.ok, JSON.stringify(loaded));
  return loaded.pipeline;
}

async function problemOf(
  source: string | Files,
  options = {},
): Promise<PipedefProblem & { readonly files: readonly string[] }> {
  await using rig = await openRig(source, options);
  const loaded = await rig.load();
  assert.ok(!loaded.ok, "the pipedef loads");
  const files = loaded.files.map((file) => file.replace(`${rig.root}/`, ""));
  return { ...loaded.problem, files };
}

const names = (pipeline: Pipeline) =>
  pipeline.stages.map((stage) => [stage.name, ...stage.tasks.map((task) => task.name)].join(" "));

const warningFree = (pipeline: Pipeline) => {
  assert.deepEqual(pipeline.warnings, []);
  return names(pipeline);
};

test("stages are the namespace's subclasses of Stage with a task, in order, imported ones too", async () => {
  const pipeline = await pipelineOf({
    ".bettertest/pipedef.py": `
from bettertest import *
from shared import Shared
class Zebra(Stage):
    def task_z(): pass
    def helper(): pass
    task_count = 3
class Apple(Stage):
    always = True
    def task_b(): pass
    def task_a(): pass
Alias = Apple
class Base(Stage):
    def task_one(): pass
    def task_two(): pass
class Derived(Base):
    def task_three(): pass
    def task_one(): pass
    task_two = None
for name in ("made_a", "made_b"):
    globals()["Made_" + name] = type(name, (Stage,), {"task_" + name: staticmethod(lambda: None)})
`,
    ".bettertest/shared.py": `
from bettertest import Stage
class Shared(Stage):
    def task_shared(): pass
class NotImported(Stage):
    def task_x(): pass
`,
  });
  assert.deepEqual(warningFree(pipeline), [
    "Shared task_shared",
    "Zebra task_z",
    "Apple task_b task_a",
    "Base task_one task_two",
    "Derived task_one task_three",
    "Made_made_a task_made_a",
    "Made_made_b task_made_b",
  ]);
  assert.deepEqual(
    pipeline.stages.filter((stage) => stage.always).map((stage) => stage.name),
    ["Apple"],
  );
  assert.deepEqual(pipeline.stages[0]?.tasks[0]?.location, {
    file: ".bettertest/shared.py",
    line: 4,
  });
});

test("a task may be a plain function, static, of the class, of an instance, async, decorated, partial", async () => {
  await using rig = await loadRig(`
import asyncio, functools
from bettertest import Stage
def twice(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        function(*args, **kwargs)
        return function(*args, **kwargs)
    return wrapper
def say(word): print(word)
class T(Stage):
    greeting = "hello"
    def task_plain(): print("plain")
    @staticmethod
    def task_static(): print("static")
    @classmethod
    def task_class(cls): print(cls.greeting)
    def task_instance(self): print(self.greeting)
    async def task_async():
        await asyncio.sleep(0)
        print("async")
    async def task_async_instance(self):
        print("async", self.greeting)
    @twice
    def task_decorated(): print("decorated")
    @twice
    def task_decorated_instance(self): print(self.greeting)
    @staticmethod
    @twice
    def task_decorated_static(): print("static")
    task_partial = functools.partial(say, "partial")
    task_lambda = lambda: print("lambda")
    def task_default(word="default"): print(word)
`);
  const outputs = {
    plain: "plain",
    static: "static",
    class: "hello",
    instance: "hello",
    async: "async",
    async_instance: "async hello",
    decorated: "decorated\ndecorated",
    decorated_instance: "hello\nhello",
    decorated_static: "static\nstatic",
    partial: "partial",
    lambda: "lambda",
    default: "default",
  };
  for (const [task, output] of Object.entries(outputs)) {
    const ran = await rig.run(`T.task_${task}`);
    assert.deepEqual([ran.output, ran.end], [`${output}\n`, { status: "passed" }], task);
  }
});

test("hundreds of tasks, helpers in folders, and a location for each also behind decorators", async () => {
  const tasks = Array.from(
    { length: 300 },
    (_, n) => `    @staticmethod\n    def task_${n}():\n        run("i", "c")\n`,
  );
  const pipeline = await pipelineOf({
    "ci/pipedef.py": "",
    ".bettertest/pipedef.py": `from bettertest import Stage, run\nfrom tools.deep import IMAGE\nclass T(Stage):\n${tasks.join("")}`,
    ".bettertest/tools/__init__.py": "",
    ".bettertest/tools/deep.py": "IMAGE = 'i'",
  });
  assert.equal(pipeline.stages[0]?.tasks.length, 300);
  assert.equal(pipeline.stages[0]?.tasks[299]?.location?.line, 3 + 299 * 3 + 2);
});

test("what is legal and looks like a mistake is a warning", async () => {
  const pipeline = await pipelineOf(`
from bettertest import Stage
import threading, time
class T(Stage):
    def task_a(): pass
    def task_b(): pass
    def task_a(): pass
class U(Stage):
    def task_old(): pass
class U(Stage):
    def task_new(): pass
class Empty(Stage):
    def test_typo(): pass
class Forgot:
    def task_x(): pass
class Mixin:
    def task_mixed(): pass
class Mixed(Mixin, Stage): pass
threading.Thread(target=time.sleep, args=(600,), name="poller", daemon=True).start()
`);
  assert.deepEqual(names(pipeline), ["T task_a task_b", "U task_new", "Mixed task_mixed"]);
  assert.deepEqual(pipeline.warnings, [
    ".bettertest/pipedef.py:10: class U is defined more than once (lines 8 and 10); only the last one counts",
    ".bettertest/pipedef.py:7: T.task_a is defined more than once (lines 5 and 7); only the last one counts",
    ".bettertest/pipedef.py:12: stage Empty has no task_ function",
    ".bettertest/pipedef.py:14: class Forgot has task_ functions but does not extend Stage, so they are not run",
    ".bettertest/pipedef.py starts threads while it loads (poller). A task runs in a fork, where they do not exist, and a lock one of them holds at that moment can hang the task. Start threads inside tasks",
  ]);
});

test("a syntax error names file, line, column and the line, also in a helper", async () => {
  const own = await problemOf("from bettertest import Stage\nclass T(Stage)\n    pass\n");
  assert.equal(own.kind, "syntax");
  assert.match(own.message, /^SyntaxError: /);
  assert.deepEqual(own.location, { file: ".bettertest/pipedef.py", line: 2, column: 15 });
  assert.equal(own.sourceLine, "class T(Stage)");

  const helper = await problemOf({
    ".bettertest/pipedef.py": "import helper\n",
    ".bettertest/helper.py": "x = 1\nif x:\npass\n",
  });
  assert.equal(helper.kind, "syntax");
  assert.deepEqual([helper.location?.file, helper.location?.line], [".bettertest/helper.py", 3]);
  assert.equal(helper.sourceLine, "pass");
  assert.deepEqual(helper.files, [".bettertest/pipedef.py", ".bettertest/helper.py"]);
});

test("a missing import names the line of the import", async () => {
  const problem = await problemOf({
    ".bettertest/pipedef.py": "import os\nimport helper\n",
    ".bettertest/helper.py": "if True:\n    import no_such_module\n",
  });
  assert.equal(problem.kind, "import");
  assert.equal(problem.message, "ModuleNotFoundError: No module named 'no_such_module'");
  assert.deepEqual(problem.location, { file: ".bettertest/helper.py", line: 2, column: 12 });
  assert.equal(problem.sourceLine, "    import no_such_module");
  assert.match(problem.hint ?? "", /pip install no_such_module/);

  const name = await problemOf("from bettertest import Stage, rum\n");
  assert.equal(name.kind, "import");
  assert.deepEqual(name.location?.line, 1);
  assert.match(name.message, /cannot import name 'rum'/);
});

test("what the pipedef throws at load names the deepest line of the author's", async () => {
  const problem = await problemOf({
    ".bettertest/pipedef.py": "import helper\nhelper.read()\n",
    ".bettertest/helper.py": "import json\ndef read():\n    return json.loads('{')\n",
  });
  assert.equal(problem.kind, "threw");
  assert.match(problem.message, /^JSONDecodeError: /);
  assert.deepEqual(problem.location, { file: ".bettertest/helper.py", line: 3, column: 5 });
  assert.equal(problem.sourceLine, "    return json.loads('{')");
  assert.match(problem.stack ?? "", /^Traceback .*\n {2}File "\.bettertest\/pipedef\.py", line 2/);
  assert.doesNotMatch(problem.stack ?? "", /importlib|_load\.py/);
});

test("sys.exit, a crash and os._exit while loading are problems of the pipedef", async () => {
  const exit = await problemOf("import sys\nsys.exit(3)\n");
  assert.deepEqual(
    [exit.kind, exit.message],
    ["threw", "sys.exit(3) was called while the pipedef loads"],
  );
  assert.equal(exit.location?.line, 2);

  const crash = await problemOf("import ctypes\nctypes.string_at(0)\n");
  assert.equal(crash.kind, "threw");
  assert.match(crash.message, /killed by SIGSEGV while it loaded pipedef\.py/);

  const gone = await problemOf("import os\nos._exit(0)\n");
  assert.match(gone.message, /ended with exit code 0 while it loaded pipedef\.py/);
});

test("loading never runs a task: run() at import is an error with its line", async () => {
  const problem = await problemOf(
    'from bettertest import Stage, run\nclass T(Stage):\n    def task_a(): run("i", "c")\nT.task_a()\n',
  );
  assert.equal(problem.kind, "threw");
  assert.match(
    problem.message,
    /run\(\) was called while the pipedef loads, but loading never runs a task/,
  );
  assert.equal(problem.location?.line, 3);
});

test("a pipedef without a stage says what is missing", async () => {
  const nothing = await problemOf("x = 1\n");
  assert.equal(nothing.kind, "empty");
  assert.match(nothing.message, /^no stage/);
  const notAStage = await problemOf("class T:\n    def task_a(): pass\n");
  assert.match(notAStage.message, /class T has task_ functions but does not extend Stage/);
  const noTask = await problemOf(
    "from bettertest import Stage\nclass T(Stage):\n    def test_a(): pass\n",
  );
  assert.match(noTask.message, /stage T has no function whose name starts with task_/);
});

test("an endless load ends as stalled, with the line it is at, also inside C code", async () => {
  for (const [loop, line] of [
    ["def spin():\n    while True:\n        pass\nspin()\n", 3],
    ["import re\n\nre.match(r'(a|a)*b', 'a' * 60)\n", 3],
  ] as const) {
    const problem = await problemOf(loop, { stallTimeoutMs: 1000 });
    assert.equal(problem.kind, "stalled");
    assert.equal(problem.message, "loading did not end within 1 s");
    assert.equal(problem.location?.file, ".bettertest/pipedef.py");
    assert.ok(
      Math.abs((problem.location?.line ?? 0) - line) <= 1,
      `line ${problem.location?.line}`,
    );
  }
});

test("memory has a limit, while loading and in each task", async () => {
  const loading = await problemOf("x = bytearray(2 * 2**30)\n");
  assert.deepEqual([loading.kind, loading.message], ["threw", "MemoryError"]);
  assert.match(loading.hint ?? "", /--pipedef-memory/);

  await using rig = await loadRig(`
import threading
from bettertest import Stage
class T(Stage):
    def task_hungry(): bytearray(2 * 2**30)
    def task_modest(): bytearray(200 * 2**20)
    def task_threads():
        gate = threading.Event()
        threads = [threading.Thread(target=gate.wait) for _ in range(100)]
        for thread in threads: thread.start()
        gate.set()
`);
  assert.deepEqual((await rig.run("T.task_hungry")).end, {
    status: "failed",
    failure: { kind: "thrown", message: "MemoryError" },
  });
  assert.deepEqual((await rig.run("T.task_modest")).end, { status: "passed" });
  assert.deepEqual((await rig.run("T.task_threads")).end, { status: "passed" });
});

test("a pipedef sees the environment it is given and nothing else, from the root of its repo", async () => {
  await using rig = await loadRig(
    `
import os, sys
from bettertest import Stage
print(sorted(os.environ.items()))
class T(Stage):
    def task_a():
        print(sorted(os.environ.items()))
        print(os.getcwd())
        print(repr(sys.stdin.read()), sys.argv)
`,
    { env: { ALLOWED: "yes" } },
  );
  // Python itself adds LC_CTYPE in the C locale before version 3.11.
  const plain = (text: string) => text.replace(/, \('LC_CTYPE', '[^']*'\)/g, "");
  assert.equal(plain(rig.loadOutput()), "[('ALLOWED', 'yes')]\n");
  assert.equal(
    plain((await rig.run("T.task_a")).output),
    `[('ALLOWED', 'yes')]\n${rig.root}\n'' ['${rig.root}/.bettertest/pipedef.py']\n`,
  );
});

test("bettertest is the running installation's, and nothing is written into the repo", async () => {
  const source = `
import bettertest, helper
from bettertest import Stage
class T(Stage):
    def task_a(): print(bettertest.__version__)
`;
  await using rig = await loadRig({
    ".bettertest/pipedef.py": source,
    ".bettertest/helper.py": "",
    ".bettertest/bettertest/__init__.py": "raise Exception('not this one')",
  });
  assert.equal((await rig.run("T.task_a")).output, "0.1.0\n");
  assert.deepEqual(readdirSync(`${rig.root}/.bettertest`).sort(), [
    "bettertest",
    "helper.py",
    "pipedef.py",
  ]);
  assert.ok(!existsSync(`${rig.root}/__pycache__`));
});

test("a pipedef outside .bettertest has its own folder as root, and any name", async () => {
  await using rig = await openRig(
    { "ci/json.py": "from bettertest import Stage\nclass T(Stage):\n    def task_a(): pass\n" },
    { pipedef: "ci/json.py" },
  );
  const loaded = await rig.load();
  assert.ok(loaded.ok);
  assert.deepEqual(loaded.pipeline.stages[0]?.tasks[0]?.location, { file: "json.py", line: 3 });
  assert.deepEqual(loaded.files, [`${rig.root}/ci/json.py`]);
});

test("a pipedef that is not there is said so", async () => {
  const problem = await problemOf({}, { pipedef: ".bettertest/none.py" });
  assert.equal(problem.kind, "import");
  assert.match(problem.message, /there is no pipedef .*none\.py/);
});

test("a machine without python3, or with one too old, is told how to get it", async () => {
  const none = await findInterpreter("/", "/nowhere");
  assert.ok(!none.ok);
  assert.equal(none.problem.kind, "host");
  assert.match(none.problem.message, /no python3 on this machine's PATH/);
  assert.match(none.problem.hint ?? "", /apt install python3/);

  const folder = mkdtempSync(join(tmpdir(), "bettertest-old-python-"));
  try {
    writeFileSync(`${folder}/python3`, "#!/bin/sh\necho /usr/bin/python3\necho 3.8.18\n");
    chmodSync(`${folder}/python3`, 0o755);
    const old = await findInterpreter("/", folder);
    assert.ok(!old.ok);
    assert.match(old.problem.message, /is Python 3\.8\.18; a \.py pipedef needs 3\.9 or newer/);
    writeFileSync(`${folder}/python3`, "#!/bin/sh\necho broken >&2; exit 1\n");
    const broken = await findInterpreter("/", folder);
    assert.ok(!broken.ok);
    assert.match(broken.problem.message, /python3 does not work: broken/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("what a pipedef prints without end while it loads is cut, and that is said", async () => {
  await using rig = await loadRig(`
import sys
from bettertest import Stage
for n in range(300): print("x" * 10_000)
class T(Stage):
    def task_a(): pass
`);
  const text = rig.loadOutput();
  assert.ok(text.length < 1.3 * 2 ** 20, `${text.length} bytes`);
  assert.match(text, /what the pipedef prints outside its tasks is not shown any further\)\n$/);
});
