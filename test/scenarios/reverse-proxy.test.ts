// A real nginx with the configuration of docs/reverse-proxy.md before a real boss.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { accessPaths } from "../../src/access/access-paths.js";
import { readAudit } from "../../src/access/audit.js";
import { ensureTokenFile } from "../../src/access/token-file.js";
import { parseSse } from "../../src/lib/sse.js";
import { makeCertificate, noOpenssl } from "../rig/certificate.js";
import { findProgram } from "../rig/find-program.js";
import { bearer } from "../rig/guarded.js";
import { startRig } from "../rig/rig.js";

const nginx = findProgram("nginx");
const skip = nginx ? noOpenssl : "no nginx found; install it (nginx-light)";

/** nginx cannot choose a port by itself. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  return typeof address === "object" && address ? address.port : 0;
}

function documentedBlock(): string {
  const text = readFileSync(new URL("../../../docs/reverse-proxy.md", import.meta.url), "utf8");
  const block = /```nginx\n([\s\S]*?)```/.exec(text)?.[1];
  assert.ok(block);
  return block;
}

async function startNginx(folder: string, bossUrl: string) {
  const { cert, key } = makeCertificate(folder, "localhost");
  const port = await freePort();
  const block = documentedBlock()
    .replace("listen 443 ssl", `listen 127.0.0.1:${port} ssl`)
    .replace("/etc/ssl/ci.example.com.pem", cert)
    .replace("/etc/ssl/ci.example.com.key", key)
    .replace("http://127.0.0.1:9001", bossUrl);
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  );
  const conf = join(folder, "nginx.conf");
  writeFileSync(
    conf,
    `user root;\ndaemon off;\npid ${folder}/pid;\nerror_log stderr notice;\nevents {}\nhttp {\naccess_log off;\n${temp.join("\n")}\n${block}}\n`,
  );
  const child = spawn(nginx!, ["-p", folder, "-c", conf], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if (said.includes("start worker process ")) resolve();
    });
    child.once("exit", () => reject(new Error(`nginx ended: ${said}`)));
  });
  const ca = readFileSync(cert, "utf8");
  return {
    url: `https://localhost:${port}`,
    /** From an address of its own, so that it can be told from nginx's. */
    ask(
      method: string,
      path: string,
      headers: Record<string, string> = {},
      body?: string,
    ): Promise<IncomingMessage> {
      return new Promise((resolve, reject) => {
        const sent = request(
          {
            host: "127.0.0.1",
            port,
            path,
            method,
            servername: "localhost",
            localAddress: "127.0.0.2",
            ca,
            headers: { host: `localhost:${port}`, ...headers },
          },
          resolve,
        );
        sent.once("error", reject);
        sent.end(body);
      });
    },
    async stop() {
      child.kill("SIGTERM");
      if (child.exitCode === null) await once(child, "exit");
    },
  };
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  return text;
}

test("nginx as documented: login, streams at once, the client's own address", {
  skip,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-nginx-"));
  const data = join(folder, "data");
  const paths = accessPaths(data);
  const token = ensureTokenFile(paths.token);
  const gate = join(folder, "gate");
  await using rig = await startRig({
    files: {
      ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
        stage("T", { a: () => run("any", "echo first; until [ -e ${gate} ]; do sleep 0.1; done; echo last") });`,
    },
    history: { kind: "durable", folder: data },
    access: { trustProxy: ["127.0.0.1"] },
  });
  const proxy = await startNginx(folder, rig.url);
  try {
    const page = await proxy.ask("GET", "/runs/7?x=1", { accept: "text/html" });
    page.resume();
    assert.equal(page.statusCode, 302);
    assert.equal(page.headers.location, `/login?next=${encodeURIComponent("/runs/7?x=1")}`);

    const form = { "content-type": "application/x-www-form-urlencoded" };
    const fields = new URLSearchParams({ token, next: "/runs/7" }).toString();
    const foreign = await proxy.ask(
      "POST",
      "/login",
      { ...form, origin: "https://evil.example" },
      fields,
    );
    foreign.resume();
    assert.equal(foreign.statusCode, 403);
    const forged = { "x-forwarded-for": "6.6.6.6", "x-forwarded-host": "evil.example" };
    const login = await proxy.ask(
      "POST",
      "/login",
      { ...form, ...forged, origin: proxy.url },
      fields,
    );
    login.resume();
    assert.equal(login.statusCode, 303);
    assert.equal(login.headers.location, "/runs/7");
    const [cookie = ""] = login.headers["set-cookie"] ?? [];
    assert.match(cookie, /^__Host-bettertest-\d+=.*; HttpOnly; SameSite=Strict; Secure$/);
    const session = { cookie: cookie.split(";")[0] ?? "" };

    const events = await proxy.ask("GET", "/api/events", session);
    const start = await proxy.ask("POST", "/api/runs", { ...session, origin: proxy.url }, "{}");
    assert.equal(start.statusCode, 201, await textOf(start));

    // Each comes through while the task waits for us: buffered, neither would come.
    const seen: string[] = [];
    for await (const message of parseSse(events)) {
      seen.push(message.event ?? "");
      if (message.event === "call-started") break;
    }
    assert.ok(seen.includes("run-created"));
    const output = await proxy.ask("GET", "/api/runs/1/tasks/T/a/output?follow=1", session);
    const chunks = output.setEncoding("utf8")[Symbol.asyncIterator]();
    assert.equal((await chunks.next()).value, "first\n");
    writeFileSync(gate, "");
    assert.equal((await chunks.next()).value, "last\n");

    const direct = await fetch(`${rig.url}/api/runs/1`, { headers: bearer(token) });
    assert.match(await direct.text(), /"trigger":"api by main"/);
    const addresses = readAudit(paths.audit).map(({ action, address }) => `${action} ${address}`);
    assert.deepEqual(addresses, ["login 127.0.0.2", "run-started 127.0.0.2"]);
  } finally {
    await proxy.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
