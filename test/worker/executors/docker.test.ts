import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createWorkerClient } from "../../../src/wire/worker-client.js";
import { createDockerExecutor } from "../../../src/worker/executors/docker.js";
import { diskLimitProblem } from "../../../src/worker/executors/docker-disk.js";
import { startWorker } from "../../../src/worker/main.js";
import { executorContract } from "../../contracts/executor.js";
import {
  containersOf,
  eventually,
  execute,
  image,
  infoThat,
  startCommand,
  startTestWorker,
  startWorkerProcess,
} from "../../rig/worker.js";

executorContract("docker", {
  create: () => createDockerExecutor({ pull: "missing", log: () => {} }),
  tracesOf: async (sandbox) => containersOf(process.pid).filter((id) => id === sandbox),
});

const MiB = 2 ** 20;
const worker = await startTestWorker({ executor: "docker" });
after(() => worker[Symbol.asyncDispose]());

test("a command over its memory limit is out of memory, and not a red test", async () => {
  const { outcome } = await worker.execute("head -c 200m /dev/zero | tail -c 190m | wc -c", {
    memoryBytes: 24 * MiB,
  });
  // The shell reports the exit of wc, which got nothing and succeeded: the command has coped.
  assert.equal(outcome.kind, "exited");
  const hog = await worker.execute("x=$(head -c 200m /dev/zero | tr '\\0' x); printf $x | wc -c", {
    memoryBytes: 24 * MiB,
  });
  assert.deepEqual(hog.outcome, { kind: "out-of-memory", limitBytes: 24 * MiB });
});

test("user, cpus and network are as asked", async () => {
  const user = await worker.execute("id -u", { user: "nobody" });
  assert.equal(user.output.toString(), "65534\n");
  // One of the two is there, by the version of cgroups; the complaint about the other must not mix in.
  const quota = "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null";
  const cpus = await worker.execute(quota, { cpus: 0.5 });
  assert.match(cpus.output.toString(), /^50000\b/m);
  const devices = "cut -d: -f1 /proc/net/dev | grep -v -e lo -e '|' | wc -l";
  assert.equal((await worker.execute(devices, { network: false })).output.toString(), "0\n");
  assert.equal((await worker.execute(devices)).output.toString(), "1\n");
});

test("disk is limited where the engine can, and refused in words where not", async () => {
  const info = spawnSync("docker", ["info", "--format", "{{json .}}"], { encoding: "utf8" });
  const problem = diskLimitProblem(JSON.parse(info.stdout));
  const diskBytes = 64 * MiB;
  const filling = worker.execute("head -c 200m /dev/zero > /big", { diskBytes });
  if (problem === null) {
    const { outcome } = await filling;
    assert.ok(outcome.kind === "faulted" || (outcome.kind === "exited" && outcome.exitCode !== 0));
    return;
  }
  assert.match(
    JSON.stringify((await filling).outcome),
    /faulted.*could not make a container.*stor/,
  );
  await assert.rejects(
    startTestWorker({ executor: "docker", maxima: { diskBytes } }),
    /^Error: this engine cannot limit the disk of a container .*Start without --max-disk$/,
  );
});

for (const [Driver, below, can] of [
  ["btrfs", undefined, true],
  ["overlay2", "xfs", true],
  ["overlay2", "extfs", false],
  ["vfs", undefined, false],
] as const) {
  test(`an engine on ${Driver} over ${below} ${can ? "can" : "cannot"} limit disk`, () => {
    const DriverStatus = below === undefined ? null : [["Backing Filesystem", below]];
    assert.equal(diskLimitProblem({ Driver, DriverStatus }) === null, can);
  });
}

test("an image's own entrypoint is not in the way", async () => {
  const name = "bettertest-test-entrypoint";
  const from = ["FROM bettertest-base", 'ENTRYPOINT ["echo", "entrypoint"]', 'CMD ["cmd"]'].join(
    "\n",
  );
  assert.equal(spawnSync("docker", ["build", "-t", name, "-"], { input: from }).status, 0);
  const { output } = await worker.execute("echo command", { image: name });
  assert.equal(output.toString(), "command\n");
});

for (const [what, options, words] of [
  ["user", { user: "martian" }, /martian/],
  ["working directory", { workdir: "/etc/passwd" }, /passwd/],
  ["memory limit", { memoryBytes: 1024 }, /memory/i],
] as const) {
  test(`a ${what} that cannot be is a fault in the engine's words`, async () => {
    const { outcome } = await worker.execute("echo never", options);
    assert.equal(outcome.kind, "faulted");
    assert.match(outcome.kind === "faulted" ? outcome.message : "", words);
  });
}

test("an image without a shell is a fault that says so", async () => {
  const name = "bettertest-test-no-shell";
  const tar = spawnSync("tar", ["-c", "-C", "/etc", "hostname"]).stdout;
  assert.equal(spawnSync("docker", ["import", "-", name], { input: tar }).status, 0);
  const { outcome } = await worker.execute("echo never", { image: name });
  assert.match(JSON.stringify(outcome), /sh.*not found.*the image needs a shell/);
});

/** An image of the base image's files and more. */
function built(name: string, lines: readonly string[]): string {
  const input = ["FROM bettertest-base", ...lines].join("\n");
  assert.equal(spawnSync("docker", ["build", "-q", "-t", name, "-"], { input }).status, 0);
  return name;
}

test("an image whose shell is not found by PATH has it looked for", async () => {
  const name = built("bettertest-test-elsewhere", ["ENV PATH=/nowhere"]);
  for (const command of ["echo $PATH; exit 3", "echo again; exit 3"]) {
    const { outcome, output } = await worker.execute(command, { image: name });
    assert.deepEqual(outcome, { kind: "exited", exitCode: 3 });
    assert.match(output.toString(), /^(\/nowhere|again)\n$/);
  }
});

test("an image whose shell takes no commands from its input gets each when its container is made", async () => {
  const script = '#!/bin/bash\\n[ $# -gt 0 ] || exit 0\\nexec /bin/bash "$@"\\n';
  const name = built("bettertest-test-deaf", [
    `RUN mkdir /deaf && printf '${script}' > /deaf/sh && chmod 755 /deaf/sh`,
    "ENV PATH=/deaf:/bin:/usr/bin",
    "USER 1234",
    "WORKDIR /tmp",
  ]);
  const command = "id -u; pwd; echo $A $B; cat; exit 7";
  for (let n = 0; n < 2; n++) {
    const { outcome, output } = await worker.execute(command, {
      image: name,
      env: { A: "a b" },
      secrets: { B: "c" },
    });
    assert.deepEqual(outcome, { kind: "exited", exitCode: 7 });
    assert.equal(output.toString(), "1234\n/tmp\na b c\n");
  }
});

test("an image that cannot be had is a fault with the engine's words and a hint", async () => {
  const missing = "bettertest.invalid/no/such-image";
  const { outcome, output } = await worker.execute("true", { image: missing });
  assert.equal(outcome.kind, "faulted");
  if (outcome.kind !== "faulted") return;
  assert.match(
    outcome.message,
    /"bettertest.invalid\/no\/such-image" could not be pulled: .*lookup|dial|host/,
  );
  assert.match(
    outcome.hint ?? "",
    /docker build -t bettertest.invalid\/no\/such-image \. \(with -f where the Dockerfile lies elsewhere\), or check the name; if it needs a login: docker login bettertest.invalid$/,
  );
  assert.equal(output.toString(), `Pulling image ${missing}\n`);
});

test("with pull never, a missing image is a fault at once", async () => {
  await using strict = await startTestWorker({ executor: "docker", pull: "never" });
  const { outcome } = await strict.execute("true", { image: "bettertest-no-such-image" });
  assert.match(JSON.stringify(outcome), /is not on this worker, and --pull is never/);
});

test("no engine: what is missing, and both ways out", async () => {
  await assert.rejects(
    startWorker({ port: 0, executor: "docker", dockerHost: "unix:///no/such/docker.sock" }),
    (error: Error) => {
      assert.match(error.message, /no Docker engine answers at unix:\/\/\/no\/such\/docker.sock/);
      assert.match(error.message, /Start Docker/);
      assert.match(error.message, /--executor process/);
      return true;
    },
  );
});

test("the next worker removes what a killed one left, and nothing of a living one", async () => {
  await using dying = await startWorkerProcess({ executor: "docker", poolMax: 0 });
  await using living = await startWorkerProcess({ executor: "docker", poolMax: 0 });
  const clients = [dying, living].map(({ url }) => createWorkerClient(url));
  const stop = new AbortController();
  const command = "echo ready; sleep 1000";
  await Promise.all(clients.map((client) => startCommand(client, command, stop.signal)));
  await dying.killWithGuard();
  assert.equal(containersOf(dying.pid).length, 1);

  await using next = await startTestWorker({ executor: "docker" });
  assert.ok(next.url);
  assert.deepEqual(containersOf(dying.pid), []);
  assert.equal(containersOf(living.pid).length, 1);
  stop.abort();
  await eventually(() => containersOf(living.pid).length === 0);
  for (const client of clients) client.close();
});

test("a killed worker's guard removes what it left, also what the engine was still making", async () => {
  await using dying = await startWorkerProcess({ executor: "docker", slots: 4 });
  const client = createWorkerClient(dying.url);
  const stop = new AbortController();
  await startCommand(client, "echo ready; sleep 1000", stop.signal);
  const others = Array.from({ length: 3 }, () =>
    execute(client, { image: "bettertest-base", command: "sleep 1000" }),
  );
  await dying.kill();
  await eventually(() => containersOf(dying.pid).length === 0);
  await Promise.all(others);
  assert.deepEqual(containersOf(dying.pid), []);
  client.close();
});

test("an engine that dies in the middle is a fault, never an exit code; what it left goes when it is back", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-test-"));
  const engine = await startEngineProxy(join(folder, "docker.sock"));
  const far = await startTestWorker({
    executor: "docker",
    poolMax: 0,
    dockerHost: `unix://${engine.path}`,
  });
  const before = new Set(containersOf(process.pid));
  const { ended } = await startCommand(far.client, "sleep 1; echo ready; sleep 1000");
  const [container, ...more] = containersOf(process.pid).filter((id) => !before.has(id));
  assert.deepEqual(more, []);
  await engine.cut();
  const outcome = await ended;
  assert.equal(outcome.kind, "faulted");
  assert.match(
    JSON.stringify(outcome),
    new RegExp(`container ${container}.*is the Docker engine well`),
  );
  await infoThat(far.client, ({ problem }) => problem !== null);

  const back = await startEngineProxy(engine.path);
  await infoThat(far.client, ({ problem }) => problem === null);
  await eventually(() => !containersOf(process.pid).includes(container!), 40_000);
  assert.deepEqual((await far.execute("exit 6")).outcome, { kind: "exited", exitCode: 6 });
  await far[Symbol.asyncDispose]();
  await back.cut();
  rmSync(folder, { recursive: true });
});

test("a container that is made when its engine's life is over is removed, too", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-test-"));
  const engine = await startEngineProxy(join(folder, "docker.sock"));
  await using _ = {
    async [Symbol.asyncDispose]() {
      await engine.cut();
      rmSync(folder, { recursive: true });
    },
  };
  await using far = await startTestWorker({
    executor: "docker",
    poolMax: 0,
    dockerHost: `unix://${engine.path}`,
  });
  const held = engine.holdNext("POST /containers/create");
  const running = far.execute("exit 6");
  const goOn = await held;
  // As when a socket outlives its engine, and keeps what is asked for the next one.
  engine.cutOthers();
  assert.deepEqual((await running).outcome, { kind: "exited", exitCode: 6 });
  const [made] = /(?<="Id":")[0-9a-f]{12}/.exec(await goOn()) ?? [];
  assert.ok(made);
  await eventually(() => !containersOf(process.pid).includes(made));
});

/** Stands for an engine that can be killed: the real one is everybody's. */
async function startEngineProxy(path: string) {
  const sockets = new Set<Socket>();
  let toHold: { request: string; held: (goOn: () => Promise<string>) => void } | null = null;
  const holding = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ path: "/var/run/docker.sock", allowHalfOpen: true });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => {});
    }
    near.on("data", (chunk) => {
      if (!toHold || !chunk.toString("latin1").startsWith(toHold.request)) return far.write(chunk);
      const { held } = toHold;
      toHold = null;
      holding.add(near).add(far);
      held(async () => {
        far.write(chunk);
        const [answer] = await once(far, "data");
        return String(answer);
      });
    });
    near.on("end", () => far.end());
    far.pipe(near);
  });
  server.listen(path);
  await once(server, "listening");
  return {
    path,
    /** Resolves when it is there, to what lets it go on and waits for its answer. */
    holdNext: (request: string) =>
      new Promise<() => Promise<string>>((held) => {
        toHold = { request, held };
      }),
    /** All that is open but what waits. New connections are taken as ever. */
    cutOthers() {
      for (const socket of sockets) if (!holding.has(socket)) socket.destroySoon();
    },
    async cut() {
      // The end comes as a clean end of stream, as it does from a dying engine.
      for (const socket of sockets) socket.end();
      for (const socket of sockets) socket.destroySoon();
      server.close();
      await once(server, "close");
    },
  };
}

test("a used sandbox rests while others run; one in which something runs on goes at once", async () => {
  const executor = await createDockerExecutor({ pull: "never", log: () => {} });
  const io = { signal: new AbortController().signal, progress: () => {} };
  const open = (command: string) => executor.open({ image, command }, io);
  try {
    const others = await open("sleep 1000");
    const running = others.run(() => undefined);
    // On a machine that is so busy that a removal takes as long as the longest rest, nothing can be seen.
    for (let tries = 10; ; tries--) {
      const clean = await open("true");
      const dirty = await open("sleep 1000 &");
      for (const sandbox of [clean, dirty]) await sandbox.run(() => undefined);
      let isGone = false;
      const startedAt = performance.now();
      const resting = clean.dispose().then(() => {
        isGone = true;
      });
      await dirty.dispose();
      const tookMs = performance.now() - startedAt;
      if (tries === 1 || tookMs < 4_000) {
        assert.equal(isGone, false, `gone within ${tookMs} ms`);
        others.kill("SIGKILL");
        await running;
        await Promise.all([resting, others.dispose()]);
        break;
      }
      await resting;
    }
  } finally {
    await executor.close();
  }
});
