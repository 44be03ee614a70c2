// Our own requests, to servers that answer as engines do, wherever those may be.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { type EventEmitter, once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createRequire } from "node:module";
import { type AddressInfo, connect as connectNet } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { test } from "node:test";
import { connect } from "../../../src/worker/executors/docker-connect.js";
import { statusOf } from "../../../src/worker/executors/docker-errors.js";
import { EngineApi } from "../../../src/worker/executors/engine/api.js";
import { dialOf } from "../../../src/worker/executors/engine/dial.js";
import { EngineRequests } from "../../../src/worker/executors/engine/requests.js";
import { makeCertificate, noOpenssl } from "../../rig/certificate.js";

interface Engine extends AsyncDisposable {
  readonly path: string;
  readonly folder: string;
  readonly requests: EngineRequests;
  readonly server: Server;
  /** Of the server, since its start. */
  connections(): number;
}

async function startEngine(answer: RequestListener): Promise<Engine> {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-requests-"));
  const path = join(folder, "docker.sock");
  let connections = 0;
  const server = createServer(answer);
  server.on("connection", () => {
    connections += 1;
  });
  server.listen(path);
  await once(server, "listening");
  const requests = new EngineRequests(dialOf(connect(`unix://${path}`).docker));
  return {
    ...{ path, folder, requests, server },
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      requests.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const json = (value: unknown): string => JSON.stringify(value);

test("requests in turn share a connection, those at the same time do not", async () => {
  await using engine = await startEngine((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => response.end(json([request.method, request.url, body])));
  });
  const { requests } = engine;
  for (let n = 0; n < 5; n++) {
    assert.deepEqual(await requests.ask("GET", `/${n}`), ["GET", `/${n}`, ""]);
  }
  assert.equal(engine.connections(), 1);
  const body = { text: "zwölf" };
  const all = ["a", "b", "c"].map((path) => requests.ask("POST", `/${path}`, { body }));
  assert.deepEqual(
    await Promise.all(all),
    ["a", "b", "c"].map((path) => ["POST", `/${path}`, json(body)]),
  );
  assert.equal(engine.connections(), 3);
});

test("a refusal has the engine's words and status, and its connection is good for more", async () => {
  await using engine = await startEngine((request, response) => {
    if (request.url === "/no") response.writeHead(409).end(json({ message: "it is taken" }));
    else response.writeHead(204).end();
  });
  await assert.rejects(engine.requests.ask("POST", "/no"), (error) => {
    assert.equal(statusOf(error), 409);
    return error instanceof Error && error.message === "it is taken";
  });
  assert.equal(await engine.requests.ask("DELETE", "/yes"), null);
  assert.equal(engine.connections(), 1);
});

test("a connection that the engine has closed is replaced; one that breaks within an answer is told", async () => {
  await using engine = await startEngine((request, response) => {
    if (request.url === "/close") response.writeHead(200, { connection: "close" }).end("1");
    else if (request.url === "/break") {
      response.writeHead(200, { "content-length": 100 });
      response.write("{", () => response.destroy());
    } else if (request.url === "/gone") response.destroy();
    else response.end("2");
  });
  const { requests } = engine;
  assert.equal(await requests.ask("POST", "/close"), 1);
  assert.equal(await requests.ask("POST", "/open"), 2);
  engine.server.closeIdleConnections();
  assert.equal(await requests.ask("GET", "/open"), 2);
  await assert.rejects(requests.ask("GET", "/break"), /connection was closed|ECONNRESET/);
  await assert.rejects(requests.ask("POST", "/gone"), /connection was closed|ECONNRESET/);
  assert.equal(await requests.ask("POST", "/open"), 2);
});

test("what an engine does not answer in time is given up, and so is its connection", async () => {
  await using engine = await startEngine((request, response) => {
    if (request.url !== "/never") response.end("1");
  });
  const { requests } = engine;
  await assert.rejects(requests.ask("GET", "/never", { withinMs: 50 }), /not answer within 0.05 s/);
  assert.equal(await requests.ask("GET", "/"), 1);
  assert.equal(engine.connections(), 2);
});

test("an attached stream goes both ways, from the byte behind the answer's head on", async () => {
  await using engine = await startEngine((_, response) => {
    response.writeHead(404).end(json({ message: "no such container" }));
  });
  engine.server.on("upgrade", (request, socket: Duplex) => {
    assert.equal(request.method, "POST");
    socket.write("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nfirst ");
    socket.pipe(socket);
  });
  const stream = await engine.requests.attach("/attach");
  stream.end("and back");
  let text = "";
  for await (const chunk of stream) text += chunk;
  assert.equal(text, "first and back");

  engine.server.removeAllListeners("upgrade");
  await assert.rejects(engine.requests.attach("/attach"), (error) => {
    assert.equal(statusOf(error), 404);
    return error instanceof Error && error.message === "no such container";
  });
});

test("nobody there: the request says so", async () => {
  const docker = connect("unix:///nowhere/docker.sock").docker;
  await assert.rejects(new EngineApi(docker).start("x"), (error) => {
    assert.equal(statusOf(error), null);
    return error instanceof Error && /ENOENT.*\/nowhere\/docker.sock/.test(error.message);
  });
});

test("an image's name goes into the path whole, whatever is in it", async () => {
  const asked: unknown[] = [];
  await using engine = await startEngine((request, response) => {
    asked.push(request.url);
    if (request.url?.includes("missing")) response.writeHead(404).end(json({ message: "no" }));
    else response.end(json({ Id: "sha256:1", Size: 5 }));
  });
  const api = new EngineApi(connect(`unix://${engine.path}`).docker);
  try {
    assert.equal(await api.imageId("host:5000/some/image:tag"), "sha256:1");
    assert.equal(await api.imageId("a b?c\r\nX: y"), "sha256:1");
    assert.equal(await api.imageId("missing"), null);
  } finally {
    api.close();
  }
  assert.deepEqual(asked, [
    "/images/host%3A5000/some/image%3Atag/json",
    "/images/a%20b%3Fc%0D%0AX%3A%20y/json",
    "/images/missing/json",
  ]);
});

async function withEnvironment(env: Record<string, string>, work: () => Promise<void>) {
  const before = { ...process.env };
  Object.assign(process.env, env);
  try {
    await work();
  } finally {
    for (const name of Object.keys(env)) delete process.env[name];
    Object.assign(process.env, before);
  }
}

function portOf(server: { address(): unknown }): number {
  return (server.address() as AddressInfo).port;
}

test("tcp://, and what DOCKER_HOST says with certificates", { skip: noOpenssl }, async () => {
  await using engine = await startEngine((_, response) => response.end(json({ Id: "plain" })));
  const { folder } = engine;
  const { cert, key } = makeCertificate(folder, "engine");
  for (const [from, to] of [
    [cert, "ca.pem"],
    [cert, "cert.pem"],
    [key, "key.pem"],
  ] as const) {
    copyFileSync(from, join(folder, to));
  }
  const own = { cert: readFileSync(cert), key: readFileSync(key) };
  const proof = { ...own, ca: own.cert, requestCert: true, rejectUnauthorized: true };
  const tls = createTlsServer(proof, (_, response) => response.end(json({ Id: "proven" })));
  const tcp = createServer((_, response) => response.end(json({ Id: "by tcp" })));
  try {
    for (const server of [tls, tcp]) await once(server.listen(0, "127.0.0.1"), "listening");
    const plain = new EngineApi(connect(`tcp://127.0.0.1:${portOf(tcp)}`).docker);
    assert.equal(await plain.imageId("x"), "by tcp");
    plain.close();
    const env = {
      DOCKER_HOST: `tcp://localhost:${portOf(tls)}`,
      DOCKER_TLS_VERIFY: "1",
      DOCKER_CERT_PATH: folder,
    };
    await withEnvironment(env, async () => {
      const api = new EngineApi(connect(undefined).docker);
      assert.equal(await api.imageId("x"), "proven");
      api.close();
    });
  } finally {
    tls.close();
    tcp.close();
  }
});

test("ssh://: through `docker system dial-stdio` over there", async () => {
  await using engine = await startEngine((_, response) => response.end(json({ Id: "by ssh" })));
  const { Server: SshServer } = createRequire(createRequire(import.meta.url).resolve("dockerode"))(
    "ssh2",
  );
  const { privateKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "pkcs1", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });
  const commands: string[] = [];
  const server = new SshServer({ hostKeys: [privateKey] }, (client: EventEmitter) => {
    client.on("error", () => {});
    client.on("authentication", (asked: { accept(): void }) => asked.accept());
    client.on("session", (accept: () => EventEmitter) => {
      accept().on("exec", (begin: () => Duplex, _: unknown, { command }: { command: string }) => {
        commands.push(command);
        const channel = begin();
        channel.pipe(connectNet(engine.path)).pipe(channel);
      });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const api = new EngineApi(connect(`ssh://someone@127.0.0.1:${portOf(server)}`).docker);
    assert.equal(await api.imageId("x"), "by ssh");
    assert.equal(await api.imageId("y"), "by ssh");
    api.close();
    assert.deepEqual(commands, ["docker system dial-stdio"]);
  } finally {
    server.close();
  }
});
