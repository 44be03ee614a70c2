// A failed task's sandbox: kept, listed, entered by a terminal and by a pipe, changed, left, removed.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { suite, test } from "node:test";
import { startBossProcess } from "../rig/boss-process.js";
import { noDocker } from "../rig/docker.js";
import { onPty } from "../rig/pty.js";
import { containersOf, eventually, startWorkerProcess } from "../rig/worker.js";
import { cli, jsonLines, program, startCli, tempRepo } from "./rig.js";

const task = "Unit.task_red";
const prompt = /[#$] $/;
const pipedef = `
  import { run, Stage, workspace } from "bettertest";
  export class Unit extends Stage {
    static task_red() {
      return run("bettertest-base", "cat in-repo; echo made >made; exit 3", {
        source: workspace(), env: { COLOR: "green" }, secrets: ["TOKEN"],
      });
    }
    static task_green() { return run("bettertest-base", "exit 0"); }
  }`;

function repo() {
  const made = tempRepo({
    ".bettertest/pipedef.ts": pipedef,
    "in-repo": "from the repo\n",
    secrets: "TOKEN=hidden-value\n",
  });
  spawnSync("chmod", ["600", join(made.folder, "secrets")]);
  return made;
}

/** A shell in the repo, so that what the terminal is like afterwards can be asked. */
function terminal(cwd: string) {
  const words = ["env", "PS1=local# ", "sh", "-i"];
  return onPty(words, { cwd });
}

suite("bettertest shell", { skip: noDocker() }, () => {
  test("a failed task is kept, entered, changed, left, and goes", async () => {
    using made = repo();
    const cwd = made.folder;
    await using worker = await startWorkerProcess({ executor: "docker", poolMax: 0 });
    using elsewhere = tempRepo({});
    const data = elsewhere.folder;
    const args = ["--worker", worker.url, "--data", data, "--secrets-file", "secrets"];
    let boss = await startBossProcess(args, cwd);
    const id = await boss.start({ keepFailedMs: 600_000 });
    await boss.finished(id);
    const where = () => ["--boss", boss.url];
    const shell = (...more: string[]) => ["shell", String(id), task, ...where(), ...more];

    const listed = await cli(["shell", ...where()], { cwd });
    assert.match(listed.stdout, /1 +Unit\.task_red +until \d\d:\d\d +\S.*shell 1 Unit\.task_red/);
    const green = await cli(["shell", "1", "Unit.task_green", ...where()], { cwd });
    assert.equal(green.exitCode, 2);
    assert.match(green.stderr, /no sandbox of Unit.task_green of run 1 was kept: it passed/);
    const third = await cli(shell("--attempt", "3"), { cwd });
    assert.match(third.stderr, /Unit.task_red of run 1 has no attempt 3: there was one/);

    using pty = terminal(cwd);
    await pty.shows("local# ");
    const before = "stty -a | tr ';' '\\n' | grep -v -e rows -e columns | cksum";
    pty.type(`${before}\n`);
    const [, sum] = /\n(\d+ \d+)\r/.exec(await pty.shows("local# "))!;
    const typed = [process.execPath, program, ...shell()].join(" ");
    pty.type(`${typed}\n`);
    const welcome = await pty.shows(prompt);
    assert.match(welcome, /in the sandbox of Unit.task_red, run 1 \(exit code 3/);
    assert.match(welcome, /nothing is masked here: TOKEN/);
    pty.type('stty size; cat made in-repo; echo "$COLOR-$TOKEN"; pwd\n');
    assert.match(
      await pty.shows(/\/workspace\r\n.*[#$] $/),
      /24 80\r\nmade\r\nfrom the repo\r\ngreen-hidden-value\r\n\/workspace/,
    );
    pty.resize(40, 100);
    pty.type("sleep 1000\n");
    await pty.shows("sleep 1000");
    await eventually(() => /sleep/.test(inContainer(worker.pid)));
    pty.type("\u0003");
    await pty.shows(prompt);
    pty.type("echo changed >changed; stty size; (exit 7)\n");
    await pty.shows("40 100");
    await pty.shows(prompt);
    // A large paste comes whole.
    const lines = Array.from({ length: 300 }, (_, n) => `line ${n} of what is pasted`);
    pty.type(`cat >pasted <<END\n${lines.join("\n")}\nEND\n`);
    await pty.shows("END\r\n");
    await pty.shows(prompt);
    pty.type("awk '{ n += length($0) } END { print NR, n, $0 }' pasted; (exit 7)\n");
    await pty.shows(`\n300 ${lines.join("").length} line 299 of what is pasted`);
    await pty.shows(prompt);
    pty.type("\u0004");
    assert.match(await pty.shows("local# "), /left; it is kept until \d\d:\d\d/);
    pty.type(`echo $?; ${before}\n`);
    assert.match(await pty.shows("local# "), new RegExp(`7\\r\\n${sum}\\r`));

    // Whatever ends it, this terminal is as before.
    pty.type(`${typed}\n`);
    await pty.shows(prompt);
    await boss.kill();
    const lost = await pty.shows("local# ");
    assert.match(lost, /the connection to the boss was lost/);
    assert.ok(lost.includes("\u001b[?1049l"));
    pty.type(`echo $?; ${before}\n`);
    assert.match(await pty.shows("local# "), new RegExp(`3\\r\\n${sum}\\r`));

    // Another boss, the same sandbox; and somebody who has no terminal.
    boss = await startBossProcess(args, cwd);
    const input = "cat changed; echo away >&2; exit 9";
    const { exitCode, stdout, stderr } = await cli(shell(), { cwd, input });
    assert.deepEqual(
      { exitCode, stdout, stderr },
      { exitCode: 9, stdout: "changed\n", stderr: "away\n" },
    );

    const repro = await cli(["repro", "1", task, "--docker", ...where()], { cwd });
    assert.match(repro.stdout, /^docker run --rm --init -e COLOR=green -e TOKEN .*'cat in-repo/);
    assert.doesNotMatch(repro.stdout, /hidden-value/);
    const again = await cli(["repro", "1", task, ...where()], { cwd });
    assert.match(again.stdout, /rerun 1 --only Unit\.task_red --follow --boss http/);

    assert.equal(containersOf(worker.pid).length, 1);
    const released = await cli(["release", "1", task, ...where()], { cwd });
    assert.equal(released.stdout, "its sandbox is removed\n");
    assert.deepEqual(containersOf(worker.pid), []);
    const gone = await cli(shell(), { cwd });
    assert.equal(gone.exitCode, 2);
    assert.match(gone.stderr, /the sandbox is not kept any more: it was released/);
    await boss.stop();
  });

  test("run --keep-failed stays until told to go, and leaves nothing", async () => {
    using made = repo();
    const cwd = made.folder;
    const running = startCli(
      ["run", "--keep-failed", "30m", "--json", "--secrets-file", "secrets"],
      { cwd },
    );
    const text = await running.prints(/"type":"kept".*\n/);
    const kept = jsonLines(text).find(({ type }) => type === "kept");
    const boss = String(kept?.boss);
    const piped = await cli(["shell", "1", task, "--boss", boss], { cwd, input: "cat made" });
    assert.equal(piped.stdout, "made\n");
    assert.equal(containersOf(running.child.pid!).length > 0, true);
    running.child.kill("SIGINT");
    assert.equal((await running.ended).exitCode, 1);
    assert.deepEqual(containersOf(running.child.pid!), []);
  });

  test("plain processes cannot be kept", async () => {
    using made = repo();
    const cwd = made.folder;
    const { exitCode, stderr } = await cli(
      ["run", "--executor", "process", "--keep-failed", "1m"],
      { cwd },
    );
    assert.equal(exitCode, 2);
    assert.match(stderr, /needs containers/);
  });
});

/** What runs in the containers of a worker. */
function inContainer(pid: number): string {
  const ids = containersOf(pid);
  return ids.map((id) => spawnSync("docker", ["top", id], { encoding: "utf8" }).stdout).join("");
}
