// What stands beside a command: when it counts as ready, what is said where it is not, and that nothing is left.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { BlockList } from "node:net";
import { networkInterfaces } from "node:os";
import { after, test } from "node:test";
import type { Services } from "../../src/wire/service.js";
import type { CommandRequest } from "../../src/wire/worker.js";
import { createWorkerClient, type WorkerClient } from "../../src/wire/worker-client.js";
import {
  isVolumeLeft,
  networksOf,
  noRedis,
  redisImage,
  servicesOf,
  volumesOf,
} from "../rig/redis.js";
import {
  containersOf,
  deferred,
  eventually,
  image,
  startTestWorker,
  startWorkerProcess,
} from "../rig/worker.js";

const skip = noRedis();
const worker = skip === false ? await startTestWorker({ executor: "docker" }) : null;
after(() => worker?.[Symbol.asyncDispose]());

/** A command with services, its outputs so far, and its end. */
function begin(
  client: WorkerClient,
  request: Partial<CommandRequest> & { readonly services: Services },
) {
  const stop = new AbortController();
  const printed: Record<string, string> = { "": "" };
  const changed: (() => void)[] = [];
  const taker = (name: string) => (bytes: Uint8Array) => {
    printed[name] = (printed[name] ?? "") + Buffer.from(bytes).toString();
    for (const look of changed) look();
    return undefined;
  };
  const left = deferred<Parameters<NonNullable<Io["settled"]>>[1]>();
  const ended = client.execute(
    { image, command: "true", ...request },
    {
      output: taker(""),
      service: taker,
      started: () => {},
      settled: (_, all) => left.resolve(all),
    },
    stop.signal,
  );
  return {
    stop,
    printed,
    ended,
    left: left.promise,
    /** Resolves when that output holds the text. */
    until: (text: string, name = "") =>
      new Promise<void>((resolve) => {
        const look = () => void (printed[name]?.includes(text) && resolve());
        changed.push(look);
        look();
      }),
  };
}
type Io = Parameters<WorkerClient["execute"]>[1];

const redis = { image: redisImage, ready: { port: 6379 } };
const shell = (script: string, more: Partial<Services[string]> = {}) => ({
  image,
  command: ["sh", "-c", script],
  ...more,
});

async function nothingIsLeft(pid = process.pid) {
  // Others of the same worker may be kept ready, but no service, and no network.
  await eventually(() => networksOf(pid).length + servicesOf(pid).length === 0, 60_000);
}

test("a service that ends before it is ready is said at once, with its last lines", {
  skip,
}, async () => {
  const db = shell("echo starting; echo no config; exit 3", { ready: { port: 1 } });
  const { ended, printed, left } = begin(worker!.client, { services: { db, other: redis } });
  assert.deepEqual(await ended, {
    kind: "faulted",
    message: 'service "db" ended with exit code 3 before it was ready; it last printed: no config',
  });
  assert.match(printed[""]!, /^service "db" ended.*\n {2}db \| starting\n {2}db \| no config\n$/);
  assert.equal(printed.db, "starting\nno config\n");
  assert.equal((await left).services.db?.outputBytes, 19);
  await nothingIsLeft();
});

test("a service that ends while another one is waited for makes no red test", {
  skip,
}, async () => {
  const services = {
    db: shell("echo no password; exit 3"),
    slow: shell("sleep 2; touch /ready; sleep 600", { ready: { command: "test -e /ready" } }),
  };
  const { ended } = begin(worker!.client, { services });
  assert.deepEqual(await ended, {
    kind: "faulted",
    message:
      'service "db" ended with exit code 3 before the command began; it last printed: no password',
  });
  await nothingIsLeft();
});

test("a port that only the service itself can reach is not ready, and the message says so", {
  skip,
}, async () => {
  const command = ["redis-server", "--bind", "127.0.0.1", "--save", ""];
  const db = { ...redis, command, readyTimeoutMs: 4_000 };
  const { ended } = begin(worker!.client, { services: { db } });
  const outcome = await ended;
  assert.ok(outcome.kind === "faulted");
  assert.match(
    outcome.message,
    /was not ready within 4\.0 s: nothing could be reached on port 6379 \(what listens there can be reached from inside the service alone\)/,
  );
  await nothingIsLeft();
});

test("an image's health check is waited for", { skip }, async () => {
  const name = "bettertest-test-health";
  // Redis starts late, so that whoever does not wait is too early.
  const dockerfile = `FROM ${redisImage}
    HEALTHCHECK --interval=30s CMD redis-cli ping
    CMD ["sh", "-c", "sleep 2; exec redis-server --save '' --protected-mode no"]`;
  const built = spawnSync("docker", ["build", "-q", "-t", name, "-"], { input: dockerfile });
  assert.equal(built.status, 0, built.stderr.toString());
  const command =
    "bash -c 'exec 3<>/dev/tcp/db/6379; echo PING >&3; read -r answer <&3; echo $answer'";
  const { ended, printed } = begin(worker!.client, { command, services: { db: { image: name } } });
  assert.deepEqual(await ended, { kind: "exited", exitCode: 0 });
  assert.match(printed[""]!, /PONG/);
});

test("a service that dies in the middle is said where the command prints; its end is known", {
  skip,
}, async () => {
  const db = {
    ...redis,
    command: ["sh", "-c", "redis-server --save '' --protected-mode no >&2; echo gone; exit 7"],
  };
  const { until, ended, printed, left } = begin(worker!.client, {
    // The engine's word of its end comes soon after the end of what it says.
    command:
      "bash -c 'printf unfinished; exec 3<>/dev/tcp/db/6379; echo SHUTDOWN NOSAVE >&3; cat <&3; sleep 4'",
    services: { db },
  });
  await until('\nbettertest: service "db" ended with exit code 7 while the command still ran\n');
  assert.deepEqual(await ended, { kind: "exited", exitCode: 0 });
  // What it said on its two outputs may come in either order.
  assert.match(printed.db!, /^gone$/m);
  const { outputBytes, died } = (await left).services.db!;
  assert.equal(outputBytes, printed.db!.length);
  assert.deepEqual(died, { exitCode: 7, outOfMemory: false });
});

const waiting = "bash -c 'exec 3<>/dev/tcp/db/6379; echo ready; cat <&3'; exit $CODE";
const service = () => servicesOf(process.pid)[0]!;

for (const kept of [false, true]) {
  for (const how of [["kill"], ["rm", "-f"], ["stop", "-t", "1"]]) {
    const name = `docker ${how.join(" ")}${kept ? ", in a sandbox to be kept" : ""}`;
    test(`a command that did not pass is no red test where its service was lost: ${name}`, {
      skip,
    }, async () => {
      const request = { services: { db: redis }, ...(kept && { keepFailedMs: 8_000 }) };
      const red = begin(worker!.client, { ...request, command: waiting, env: { CODE: "1" } });
      await red.until("ready");
      assert.equal(spawnSync("docker", [...how, service()]).status, 0);
      const outcome = await red.ended;
      assert.ok(outcome.kind === "faulted", JSON.stringify(outcome));
      assert.match(outcome.message, /^service "db" was ended from outside \(signal (9|15)\)$/);
      assert.equal(outcome.workerLost, true);
      await nothingIsLeft();
    });
  }
}

test("a command that waits for a lost service until its time is up is no red test", {
  skip,
}, async () => {
  const services = { db: redis };
  const late = begin(worker!.client, {
    command: "echo ready; sleep 100",
    timeoutMs: 4_000,
    services,
  });
  await late.until("ready");
  spawnSync("docker", ["kill", service()]);
  const outcome = await late.ended;
  assert.ok(outcome.kind === "faulted" && outcome.workerLost, JSON.stringify(outcome));
  await nothingIsLeft();
});

test("a command passes or fails by itself where its service was lost, and it does not mind, or lives", {
  skip,
}, async () => {
  const green = begin(worker!.client, {
    command: waiting,
    env: { CODE: "0" },
    services: { db: redis },
  });
  await green.until("ready");
  spawnSync("docker", ["kill", service()]);
  assert.deepEqual(await green.ended, { kind: "exited", exitCode: 0 });
  await nothingIsLeft();
  const red = begin(worker!.client, {
    command: "echo ready; sleep 1; exit 1",
    services: { db: shell("trap '' HUP; sleep 1000") },
  });
  await red.until("ready");
  spawnSync("docker", ["kill", "--signal", "HUP", service()]);
  assert.deepEqual(await red.ended, { kind: "exited", exitCode: 1 });
});

test("a service that the machine has no memory for is lost; one over its own limit is not", {
  skip,
}, async () => {
  const hog = shell("until test -e /go; do sleep 0.1; done; exec tail /dev/zero");
  const outcomes = [];
  for (const limit of [{}, { memoryBytes: 32 * 2 ** 20 }]) {
    const red = begin(worker!.client, {
      command: "echo ready; sleep 5; exit 1",
      services: { db: { ...hog, ...limit } },
    });
    await red.until("ready");
    // As a machine would have no more.
    spawnSync("docker", ["update", "--memory", "32m", "--memory-swap", "32m", service()]);
    spawnSync("docker", ["exec", service(), "touch", "/go"]);
    await red.until("while the command still ran");
    outcomes.push(await red.ended);
    await nothingIsLeft();
  }
  const [lost, own] = outcomes;
  assert.ok(lost?.kind === "faulted" && lost.workerLost, JSON.stringify(lost));
  assert.match(lost.message, /^service "db" was killed, since the worker's machine ran out of/);
  assert.deepEqual(own, { kind: "exited", exitCode: 1 });
});

test("cut off from the network, a command still reaches its services, and nothing else", {
  skip,
}, async () => {
  const held = begin(worker!.client, {
    command:
      "bash -c 'exec 3<>/dev/tcp/db/6379; echo PING >&3; read -r answer <&3; echo $answer'; echo ready; sleep 1000",
    network: false,
    services: { db: redis },
  });
  await held.until("ready");
  assert.match(held.printed[""]!, /PONG/);
  const [network] = networksOf(process.pid);
  const { stdout } = spawnSync("docker", ["network", "inspect", network!], { encoding: "utf8" });
  const [{ Internal, Containers, IPAM }] = JSON.parse(stdout);
  assert.equal(Internal, true);
  assert.equal(Object.keys(Containers).length, 2);
  const { Subnet } = IPAM.Config[0];
  assert.match(Subnet, /^198\.1[89]\.\d+\.\d+\/27$/);
  const inside = new BlockList();
  inside.addSubnet(Subnet.split("/")[0], 27);
  const ours = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  assert.deepEqual(
    ours.filter(({ address, family }) => family === "IPv4" && inside.check(address)),
    [],
    "this machine can be reached from there",
  );
  const [service] = servicesOf(process.pid);
  const volumes = volumesOf([service!]);
  assert.equal(volumes.length, 1);
  held.stop.abort();
  assert.equal((await held.ended).kind, "cancelled");
  await nothingIsLeft();
  await eventually(() => !volumes.some(isVolumeLeft));
});

test("cancelled while its services start up, a command leaves nothing", { skip }, async () => {
  const db = shell("echo up; sleep 1000", { ready: { command: "false" } });
  const starting = begin(worker!.client, { services: { db } });
  await starting.until("up", "db");
  starting.stop.abort();
  assert.equal((await starting.ended).kind, "cancelled");
  await nothingIsLeft();
});

test("a sandbox that is kept has its services, until its time is over", { skip }, async () => {
  const red = begin(worker!.client, {
    command: "exit 1",
    services: { db: redis },
    keepFailedMs: 8_000,
  });
  assert.deepEqual(await red.ended, { kind: "exited", exitCode: 1 });
  assert.equal(servicesOf(process.pid).length, 1);
  await nothingIsLeft();
});

test("limits of a service are those of the worker, unless it asks for less", { skip }, async () => {
  await using small = await startTestWorker({
    executor: "docker",
    maxima: { memoryBytes: 64 * 2 ** 20, pids: 50 },
  });
  const more = { ...redis, memoryBytes: 65 * 2 ** 20 };
  const refused = await begin(small.client, { services: { db: more } }).ended;
  assert.ok(refused.kind === "faulted");
  assert.match(
    refused.message,
    /services\.db\.memoryBytes: 65\.0 MiB is more than this worker gives/,
  );
  const held = begin(small.client, {
    command: "echo ready; sleep 1000",
    services: { db: redis, less: { ...redis, pids: 20, cpus: 0.5 } },
  });
  await held.until("ready");
  const format =
    "{{.Config.Hostname}} {{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.NanoCpus}}";
  const { stdout } = spawnSync("docker", ["inspect", "-f", format, ...servicesOf(process.pid)]);
  assert.deepEqual(stdout.toString().trim().split("\n").sort(), [
    "db 67108864 50 0",
    "less 67108864 20 500000000",
  ]);
  held.stop.abort();
  await held.ended;
});

test("whoever comes back later gets all that a service has printed", { skip }, async () => {
  const first = createWorkerClient(worker!.url, { leaseMs: 60_000 });
  const id = `services-${process.pid}`;
  const stop = new AbortController();
  const io: Io = { output: () => undefined, started: () => {} };
  const started = deferred<void>();
  void first.execute(
    { image, command: "sleep 3", services: { db: shell("echo one; sleep 1; echo two; sleep 99") } },
    { ...io, started: () => started.resolve() },
    stop.signal,
    id,
  );
  await started.promise;
  const second = createWorkerClient(worker!.url, { leaseMs: 60_000 });
  let printed = "";
  const service = () => (bytes: Uint8Array) => {
    printed += Buffer.from(bytes).toString();
    return undefined;
  };
  const outcome = await second.resume(
    { id, outputBytes: 0, services: ["db"] },
    { ...io, service },
    stop.signal,
  );
  assert.deepEqual(outcome, { kind: "exited", exitCode: 0 });
  assert.equal(printed, "one\ntwo\n");
  for (const client of [first, second]) client.close();
});

test("a killed worker's guard removes services, networks and volumes", { skip }, async () => {
  await using dying = await startWorkerProcess({ executor: "docker", slots: 4 });
  const client = createWorkerClient(dying.url);
  const held = begin(client, {
    command: "echo ready; sleep 1000",
    services: { db: redis },
  });
  await held.until("ready");
  const volumes = volumesOf(servicesOf(dying.pid));
  const starting = begin(client, { services: { db: shell("sleep 1000", { ready: { port: 1 } }) } });
  await eventually(() => networksOf(dying.pid).length === 2);
  await dying.kill();
  await eventually(
    () => containersOf(dying.pid).length + networksOf(dying.pid).length === 0,
    60_000,
  );
  await eventually(() => !volumes.some(isVolumeLeft));
  await Promise.all([held.ended, starting.ended]);
  client.close();
});

test("a worker that starts removes the networks of one that is dead", { skip }, async () => {
  await using dying = await startWorkerProcess({ executor: "docker", poolMax: 0 });
  const client = createWorkerClient(dying.url);
  const held = begin(client, { command: "echo ready; sleep 1000", services: { db: redis } });
  await held.until("ready");
  await dying.killWithGuard();
  assert.equal(networksOf(dying.pid).length, 1);
  await using next = await startTestWorker({ executor: "docker" });
  assert.ok(next.url);
  assert.deepEqual([...servicesOf(dying.pid), ...networksOf(dying.pid)], []);
  await held.ended;
  client.close();
});

test("the process executor refuses services in words", async () => {
  await using processes = await startTestWorker({ executor: "process" });
  const { ended } = begin(processes.client, { services: { db: redis } });
  assert.deepEqual(await ended, {
    kind: "faulted",
    message: "the process executor cannot start services",
    hint: "Use a worker with --executor docker for this command",
  });
});
