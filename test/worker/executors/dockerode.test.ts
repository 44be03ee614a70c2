import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { DockerClient } from "../../../src/worker/executors/dockerode.js";

const loaded = () => Object.keys(createRequire(import.meta.url).cache).join("\n");

test("what only a few need is loaded when it is first used", async () => {
  const client = new DockerClient({
    protocol: "ssh",
    host: "127.0.0.1",
    port: 1,
    username: "nobody",
  });
  assert.doesNotMatch(loaded(), /grpc-js|\/ssh2\//);
  // The real one tries, and nobody answers there.
  await assert.rejects(client.ping(), /ECONNREFUSED|connect/);
  assert.match(loaded(), /\/ssh2\//);
});
