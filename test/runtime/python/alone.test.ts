// python3 -m bettertest, as a person starts it, against a real worker.
import assert from "node:assert/strict";
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { startWorker } from "../../../src/worker/main.js";
import { mkfifo } from "./fifo.js";
import { untilGone } from "./processes.js";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const folder = realpathSync(mkdtempSync(join(tmpdir(), "bettertest-alone-")));
const worker = await startWorker({ port: 0, executor: "process", slots: 4, dataDir: folder });
after(async () => {
  await worker.stop();
  rmSync(folder, { recursive: true, force: true });
});

let written = 0;

function writePipedef(source: string): string {
  written += 1;
  const path = join(folder, `pipedef_${written}.py`);
  writeFileSync(path, `import os, sys\nfrom bettertest import Stage, run\n${source}`);
  return path;
}

const pythonEnv = {
  ...process.env,
  PYTHONPATH: join(root, "compat-python"),
  PYTHONDONTWRITEBYTECODE: "1",
};

function start(...args: string[]): ChildProcessWithoutNullStreams {
  return spawn("python3", ["-m", "bettertest", ...args], { cwd: tmpdir(), env: pythonEnv });
}

async function finish(child: ChildProcessWithoutNullStreams) {
  let stdout = "";
  let stderr = "";
  child.stdin.end();
  child.stdout.on("data", (data) => {
    stdout += data;
  });
  child.stderr.on("data", (data) => {
    stderr += data;
  });
  const [code] = await once(child, "close");
  return { code, stdout: stdout.replace(/\(\d+\.\d s\)/g, "(TIME)"), stderr };
}

const alone = (...args: string[]) => finish(start(...args));
const withWorker = ["--worker", worker.url];

test("stages in order, tasks grouped, a summary: passed is 0", async () => {
  const path = writePipedef(`
class TestUnit(Stage):
    def task_a():
        print("before")
        run("i", "echo out; echo err >&2; printf partial")
        print(" after")
class TestLater(Stage):
    @staticmethod
    def task_named():
        return run(${JSON.stringify(worker.url)}, "i", "echo $GREETING", env={"GREETING": "hello"})
`);
  assert.deepEqual(await alone(path, ...withWorker), {
    code: 0,
    stdout: [
      "--- TestUnit.task_a",
      "before",
      "out",
      "err",
      "partial after",
      "passed  TestUnit.task_a  (TIME)",
      "--- TestLater.task_named",
      "hello",
      "passed  TestLater.task_named  (TIME)",
      "2 passed",
      "",
    ].join("\n"),
    stderr: "",
  });
});

test("a failing command is red, skips later stages but those that always run, and ends with 1", async () => {
  const path = writePipedef(`
class Red(Stage):
    def task_red(): run("i", "echo broken; exit 3")
class Skipped(Stage):
    def task_skipped(): run("i", "true")
class Cleanup(Stage):
    always = True
    def task_clean(): print(run("i", "exit 9", check=False))
`);
  const { code, stdout } = await alone(path, ...withWorker);
  assert.equal(code, 1);
  assert.match(stdout, /--- Red\.task_red\nbroken\nbettertest: exit code 3: echo broken; exit 3\n/);
  assert.match(stdout, /failed {2}Red\.task_red {2}\(TIME\) {2}exit code 3: echo broken; exit 3\n/);
  assert.match(stdout, /9\npassed {2}Cleanup\.task_clean/);
  assert.match(stdout, /1 passed, 1 failed, 1 skipped\n$/);
  const onward = await alone(path, ...withWorker, "--keep-going");
  assert.match(onward.stdout, /2 passed, 1 failed\n$/);
});

for (const [broken, expected] of [
  ["a reader that goes away", 130],
  ["a full disk", 3],
] as const) {
  test(`${broken} ends the tasks in order, with ${expected}`, async () => {
    await using gate = mkfifo();
    const pidFile = join(folder, `pid-${expected}`);
    const path = writePipedef(`
class T(Stage):
    def task_first():
        open("${gate.path}").read()
    def task_long(): run("i", "echo $$ > ${pidFile}; echo > ${gate.path}; exec sleep 600")
`);
    const full = openSync("/dev/full", "w");
    const child = spawn("python3", ["-m", "bettertest", path, ...withWorker, "--slots", "2"], {
      cwd: tmpdir(),
      env: pythonEnv,
      stdio: ["ignore", expected === 3 ? full : "pipe", "pipe"],
    });
    child.stdout?.destroy();
    let stderr = "";
    child.stderr?.on("data", (data) => {
      stderr += data;
    });
    const [code] = await once(child, "close");
    assert.equal(code, expected, stderr);
    assert.match(stderr, /interrupted, ending 1 task/);
    assert.doesNotMatch(stderr, /Traceback/);
    await untilGone([Number(readFileSync(pidFile, "utf8"))]);
  });
}

test("the token of this user's worker is shown to nobody else who has taken its port", async () => {
  const program = `
import bettertest._access as access, os, socket, sys
home, port = sys.argv[1], int(sys.argv[2])
os.environ["HOME"] = home
folder = home + "/.local/share/bettertest/worker-%d/access" % port
os.makedirs(folder)
with open(os.open(folder + "/worker-token", os.O_CREAT | os.O_WRONLY, 0o600), "w") as file: file.write("bt_x")
url = "http://localhost:%d" % port
print(access.Access(url).headers(url))
os.getuid = lambda: 12345
print(access.Access(url).headers(url))
`;
  const home = mkdtempSync(join(folder, "home-"));
  const args = ["-c", program, home, new URL(worker.url).port];
  const child = spawn("python3", args, { cwd: tmpdir(), env: pythonEnv });
  assert.deepEqual(await finish(child), {
    code: 0,
    stdout: "{'authorization': 'Bearer bt_x'}\n{}\n",
    stderr: "",
  });
});

test("commands of a task's other processes count, and are waited for", async () => {
  await using gate = mkfifo();
  const path = writePipedef(`
import multiprocessing, threading
fork = multiprocessing.get_context("fork")
class T(Stage):
    def task_process(): fork.Process(target=run, args=("i", "exit 3")).start()
    def task_daemon():
        fork.Process(target=run, args=("i", "echo > ${gate.path}; sleep 0.2; exit 4"), daemon=True).start()
        open("${gate.path}").read()
    def task_killed():
        process = fork.Process(target=run, args=("i", "echo > ${gate.path}.2; sleep 600"))
        process.start()
        open("${gate.path}.2").read()
        process.kill()
    def task_exit():
        threading.Thread(target=run, args=("i", "echo > ${gate.path}.3; sleep 600")).start()
        open("${gate.path}.3").read()
        os._exit(0)
    def task_caught():
        fork.Process(target=run, args=("i", "exit 5"), kwargs={"check": False}).start()
for number in "23": os.mkfifo("${gate.path}." + number)
`);
  const { code, stdout } = await alone(path, ...withWorker);
  assert.equal(code, 1, stdout);
  assert.match(stdout, /failed {2}T\.task_process {2}\(TIME\) {2}exit code 3: /);
  assert.match(stdout, /failed {2}T\.task_daemon {2}\(TIME\) {2}exit code 4: /);
  assert.match(
    stdout,
    /failed {2}T\.task_killed {2}\(TIME\) {2}a process of the task ended while /,
  );
  assert.match(
    stdout,
    /failed {2}T\.task_exit {2}\(TIME\) {2}the task's process ended itself while /,
  );
  assert.match(stdout, /1 passed, 4 failed\n$/);
});

test("one task alone is shown live", async () => {
  await using gate = mkfifo();
  const path = writePipedef(`
class T(Stage):
    def task_live(): run("i", "echo started; cat ${gate.path}; echo ended")
    def task_other(): raise Exception("not chosen")
`);
  const child = start(path, "T.task_live", ...withWorker);
  const [first] = await once(child.stdout, "data");
  assert.equal(String(first), "started\n");
  const ended = finish(child);
  await gate.open();
  const { code, stdout } = await ended;
  assert.deepEqual([code, stdout], [0, "ended\npassed  T.task_live  (TIME)\n1 passed\n"]);
});

test("timeout, and options that are wrong", async () => {
  const path = writePipedef(`
class T(Stage):
    def task_slow(): run("i", "sleep 60", timeout="300ms")
    def task_wrong(): run("i", "true", memory="lots")
`);
  const { code, stdout } = await alone(path, ...withWorker);
  assert.equal(code, 1);
  assert.match(stdout, /failed {2}T\.task_slow {2}\(TIME\) {2}timed out after 0\.3 s: sleep 60/);
  assert.match(
    stdout,
    /failed {2}T\.task_wrong .*ValueError: run: memory must be bytes, or a text such as "512m"/,
  );
});

test("what only a boss can do is said, and a command does without it where it can", async () => {
  const path = writePipedef(`
class S(Stage):
    retries = 1
    def task_left():
        run("any", "echo ran", results="j.xml", artifacts="a", cache={"key": "k", "paths": ["x"]})
`);
  const { stdout, stderr, code } = await alone(path, ...withWorker);
  assert.match(
    stdout,
    /bettertest: results, artifacts, cache: of use with a boss only \(bettertest run\)\nran\n/,
  );
  assert.match(stderr, /warning: retries are of use with a boss only/);
  assert.equal(code, 0);
});

test("a build without a boss is no red test", async () => {
  const path = writePipedef(`
from bettertest import build
class S(Stage):
    def build_app(): build("any", "echo x > out", artifacts="out")
`);
  const { stdout, code } = await alone(path, ...withWorker);
  assert.match(
    stdout,
    /errored {2}S\.build_app .* the command is a build, whose files only a boss keeps/,
  );
  assert.equal(code, 3);
});

test("large output arrives whole, and bytes that are not UTF-8 unchanged", async () => {
  const path = writePipedef(`
class T(Stage):
    def task_large(): run("i", "head -c 20000000 /dev/zero; printf '\\\\377end'")
`);
  const child = start(path, ...withWorker);
  child.stdin.end();
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk) => chunks.push(chunk));
  await once(child, "close");
  const all = Buffer.concat(chunks);
  assert.equal(all.indexOf(Buffer.from([0xff])), 20_000_000);
  assert.match(all.subarray(20_000_001).toString(), /^endpassed {2}T\.task_large/);
});

test("a worker that does not answer is an infrastructure error that says what to try", async () => {
  const path = writePipedef(`
class T(Stage):
    def task_a(): run("http://127.0.0.1:1", "i", "true", check=False)
`);
  const { code, stdout } = await alone(path, ...withWorker);
  assert.equal(code, 3);
  assert.match(
    stdout,
    /worker http:\/\/127\.0\.0\.1:1 did not answer \(Connection refused\)\nIs it running\? Try: curl http:\/\/127\.0\.0\.1:1\/health\nerrored {2}T\.task_a/,
  );
});

test("a worker that is lost in the middle is an infrastructure error that says so", async () => {
  const server = createServer((request, response) => {
    if (request.url?.endsWith("/output")) {
      response.write("half of the out");
      return;
    }
    if (request.method === "DELETE") return void response.destroy();
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write('event: started\ndata: {"type":"started","sandbox":"s"}\n\n');
    setTimeout(() => server.closeAllConnections(), 100);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const path = writePipedef(`class T(Stage):\n    def task_a(): run("i", "true")\n`);
    const { code, stdout } = await alone(path, "--worker", url, "--slots", "1");
    assert.equal(code, 3);
    assert.match(stdout, /half of the out/);
    assert.match(
      stdout,
      new RegExp(`errored {2}T\\.task_a {2}\\(TIME\\) {2}worker ${url}.* (lost|closed)`),
    );
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test("Ctrl-C ends what runs, also in threads, and exits with 130", async () => {
  const pids = join(folder, "pids");
  const path = writePipedef(`
import threading
class T(Stage):
    def task_a(): run("i", "echo $$ >> ${pids}; exec sleep 600")
    def task_b():
        thread = threading.Thread(target=run, args=("i", "echo $$ >> ${pids}; exec sleep 600"))
        thread.start()
        thread.join()
class Later(Stage):
    def task_c(): pass
`);
  const child = start(path, ...withWorker);
  const started = async () => {
    while (!existsSync(pids) || readFileSync(pids, "utf8").split("\n").length < 3) {
      await new Promise((turn) => setTimeout(turn, 10));
    }
  };
  await started();
  child.kill("SIGINT");
  const { code, stdout, stderr } = await finish(child);
  assert.equal(code, 130);
  assert.match(stderr, /interrupted, ending 2 task\(s\)/);
  assert.match(stdout, /2 cancelled, 1 skipped\n$/);
  await untilGone(readFileSync(pids, "utf8").trim().split("\n").map(Number));
});

test("usage and pipedef errors end with 2 and say what to do", async () => {
  const good = writePipedef("class T(Stage):\n    def task_a(): pass\n");
  const broken = writePipedef("class T(Stage)\n    pass\n");
  const loadRuns = writePipedef('run("i", "c")\n');
  for (const [args, message] of [
    [[good, "T.task_b"], /no stage or task T\.task_b\. There are: T\.task_a/],
    [[good, "--worker", "localhost"], /--worker must be a URL/],
    [[good, "--slots", "0"], /--slots must be at least 1/],
    [[], /usage: python3 -m bettertest/],
    [[broken], /pipedef_\d+\.py:3:15: SyntaxError: .*\n {2}3 \| class T\(Stage\)\n {4}\| {15}\^/],
    [[loadRuns], /loading never runs a task/],
    [[join(folder, "none.py")], /there is no pipedef/],
  ] as const) {
    const { code, stdout, stderr } = await alone(...args);
    assert.deepEqual([code, stdout], [2, ""], args.join(" "));
    assert.match(stderr, message);
  }
});

test("the example runs against the local worker's address", async () => {
  const example = readFileSync(join(root, "examples/python/pipedef.py"), "utf8");
  const path = join(folder, "example.py");
  writeFileSync(path, example.replace("http://localhost:9009", worker.url));
  const { code, stdout } = await alone(path, ...withWorker);
  assert.match(stdout, /3 passed\n$/);
  assert.equal(code, 0);
});

test("a worker that wants a token gets the one from its file, and another worker does not", async () => {
  const guarded = await startWorker({
    port: 0,
    executor: "process",
    dataDir: folder,
    access: { token: "a-token-of-my-own-choice" },
  });
  const lines = join(folder, "worker-tokens");
  const write = (text: string, mode = 0o600) => {
    rmSync(lines, { force: true });
    writeFileSync(lines, text, { mode });
  };
  const path = writePipedef(
    `class T(Stage):\n  def task_a():\n    run("${guarded.url}", "any", "echo in")\n`,
  );
  const go = (...args: string[]) => finish(start(path, "--worker-token-file", lines, ...args));
  try {
    write(`${guarded.url} a-token-of-my-own-choice\n`);
    const right = await go("--worker", worker.url);
    assert.equal(right.code, 0, right.stdout + right.stderr);
    // Alone, it is for the worker of --worker, not for one that the pipedef names.
    write("a-token-of-my-own-choice\n");
    const other = await go("--worker", worker.url);
    assert.equal(other.code, 3);
    assert.match(other.stdout, /no token was sent/);
    assert.equal((await go("--worker", guarded.url)).code, 0);
    write("a-token-of-my-own-choice\n", 0o644);
    const open = await go("--worker", guarded.url);
    assert.equal(open.code, 2);
    assert.match(open.stderr, /can be read or written by others/);
  } finally {
    await guarded.stop();
  }
});
