import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { after, describe, test } from "node:test";
import type Docker from "dockerode";
import { registryOf } from "../../../src/worker/executors/docker-credentials.js";
import { createImages } from "../../../src/worker/executors/docker-images.js";
import { noDocker } from "../../rig/docker.js";
import { startRegistry } from "../../rig/registry.js";
import { deferred, startTestWorker } from "../../rig/worker.js";

const login = "tester:pass:word";

test("an image's registry is told from its name", () => {
  assert.equal(registryOf("busybox"), "https://index.docker.io/v1/");
  assert.equal(registryOf("library/busybox:1"), "https://index.docker.io/v1/");
  assert.equal(registryOf("docker.io/library/busybox"), "https://index.docker.io/v1/");
  assert.equal(registryOf("ghcr.io/a/b:1"), "ghcr.io");
  assert.equal(registryOf("localhost/a"), "localhost");
  assert.equal(registryOf("127.0.0.1:5000/a"), "127.0.0.1:5000");
});

test("who asks just after the last one has left is not told that it was cancelled", async () => {
  const streams: PassThrough[] = [];
  const started = [deferred<void>(), deferred<void>()];
  const docker = {
    pull: async () => {
      const stream = new PassThrough();
      streams.push(stream);
      started[streams.length - 1]?.resolve();
      return stream;
    },
  };
  const images = createImages(docker as unknown as Docker, "missing");
  const leaving = new AbortController();
  const left = images.pull("i", { signal: leaving.signal, progress: () => {} });
  await started[0]?.promise;
  leaving.abort();
  await assert.rejects(left, { name: "AbortError" });
  const pulled = images.pull("i", { signal: new AbortController().signal, progress: () => {} });
  // As the engine's client does, a little later.
  streams[0]?.destroy(new Error("aborted"));
  await Promise.race([started[1]?.promise, pulled]);
  // The end of the first one has not made the second unknown.
  const shared = images.pull("i", { signal: new AbortController().signal, progress: () => {} });
  streams[1]?.end();
  await Promise.all([pulled, shared]);
  assert.equal(streams.length, 2);
});

describe("an image of a private registry", { skip: noDocker() }, () => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-docker-config-"));
  const inherited = { config: process.env.DOCKER_CONFIG, path: process.env.PATH };
  process.env.DOCKER_CONFIG = folder;
  after(() => {
    if (inherited.config === undefined) delete process.env.DOCKER_CONFIG;
    else process.env.DOCKER_CONFIG = inherited.config;
    process.env.PATH = inherited.path;
    rmSync(folder, { recursive: true, force: true });
  });
  const configure = (config: unknown) =>
    writeFileSync(join(folder, "config.json"), JSON.stringify(config));

  test("without a login is a fault in the engine's words", async () => {
    configure({});
    await using registry = await startRegistry(login);
    await using worker = await startTestWorker({ executor: "docker" });
    const { outcome } = await worker.execute("echo hi", { image: registry.image });
    assert.equal(outcome.kind, "faulted");
    assert.match(
      outcome.kind === "faulted" ? outcome.message : "",
      /could not be pulled.*(unauthorized|no basic auth|log in)/i,
    );
  });

  test("is pulled with the login of `docker login`, once for all who wait, with progress in the output", async () => {
    await using registry = await startRegistry(login);
    configure({ auths: { [registry.host]: { auth: Buffer.from(login).toString("base64") } } });
    await using worker = await startTestWorker({ executor: "docker", slots: 3 });
    const all = await Promise.all(
      [1, 2, 3].map((n) => worker.execute(`echo hi ${n}`, { image: registry.image })),
    );
    for (const [index, { outcome, output }] of all.entries()) {
      assert.deepEqual(outcome, { kind: "exited", exitCode: 0 });
      assert.match(
        output.toString(),
        new RegExp(`Pulling image .*\\n[\\s\\S]*hi ${index + 1}\\n$`),
      );
    }
    assert.match(
      all.map(({ output }) => output.toString()).join(""),
      /Download complete|Pull complete/,
    );
    assert.equal(registry.fetches(), 1);

    // It is here now, and stays out of the output.
    const again = await worker.execute("echo again", { image: registry.image });
    assert.equal(again.output.toString(), "again\n");
  });

  test("is pulled with the login of a credential helper", async () => {
    await using registry = await startRegistry(login);
    const [username, secret] = ["tester", "pass:word"];
    const helper = join(folder, "docker-credential-bettertest");
    const answer = JSON.stringify({ ServerURL: registry.host, Username: username, Secret: secret });
    writeFileSync(helper, `#!/bin/sh\n[ "$(cat)" = "${registry.host}" ] && echo '${answer}'\n`);
    chmodSync(helper, 0o755);
    process.env.PATH = `${folder}:${inherited.path}`;
    configure({ credHelpers: { [registry.host]: "bettertest" } });
    await using worker = await startTestWorker({ executor: "docker" });
    const { outcome } = await worker.execute("true", { image: registry.image });
    assert.deepEqual(outcome, { kind: "exited", exitCode: 0 });
  });
});
