import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { suite, test } from "node:test";
import { makeCertificate, noOpenssl } from "../rig/certificate.js";
import { logIn } from "../rig/guarded.js";
import { cli, jsonLines, pipedefOf, type RunningCli, startCli, tempRepo, waitFor } from "./rig.js";

const pipedef = ".bettertest/pipedef.ts";
const stages = pipedefOf({ Test: { good: "echo fine" } });
const onAll = ["--host", "0.0.0.0", "--port", "0", "--executor", "process", "--json"];

interface Announced {
  readonly url: string;
  readonly tokenFile: string | null;
}

async function announced(running: RunningCli, type: "boss" | "worker"): Promise<Announced> {
  const out = await running.prints(new RegExp(`"type":"${type}".*\n`));
  const line = jsonLines(out.slice(0, out.lastIndexOf("\n"))).find((one) => one.type === type);
  const tokenFile = typeof line?.tokenFile === "string" ? line.tokenFile : null;
  return { url: String(line?.url).replace("0.0.0.0", "127.0.0.1"), tokenFile };
}

async function stop(running: RunningCli): Promise<string> {
  running.child.kill("SIGTERM");
  const { stdout, stderr } = await running.ended;
  return stdout + stderr;
}

suite("tokens", () => {
  test("up beyond this machine: a token from the first start on, for client commands too", async () => {
    using repo = tempRepo({ [pipedef]: stages });
    const data = join(repo.folder, "data");
    const start = () =>
      startCli(["up", ...onAll, "--worker-port", "0", "--data", data], { cwd: repo.folder });
    const up = start();
    const { url, tokenFile } = await announced(up, "boss");
    assert.equal(tokenFile, join(data, "access/token"));
    assert.equal(statSync(tokenFile).mode & 0o777, 0o600);
    const worker = await announced(up, "worker");
    assert.match(worker.url, /^http:\/\/127\.0\.0\.1:/);
    assert.equal((await fetch(`${worker.url}/info`)).status, 401);

    const ask = (...args: string[]) => cli([...args, "--boss", url]);
    const refused = await ask("runs");
    assert.equal(refused.exitCode, 2);
    assert.match(
      refused.stderr,
      /no token was sent.*bettertest token\nGive the token by --token-file FILE/,
    );

    const token = (await cli(["token", "--data", data])).stdout.trim();
    assert.match(token, /^bt_[\w-]{43}$/);
    // The boss reaches its own worker, with no set-up.
    const started = await fetch(`${url}/api/runs`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
    });
    assert.equal(started.status, 201);
    const logs = await ask("logs", "1", "--follow", "--token-file", tokenFile);
    assert.match(logs.stdout, /│ fine\n/);

    const made = await cli(["token", "create", "--read-only", "--name", "dash", "--data", data]);
    const readFileName = join(repo.folder, "read-only");
    writeFileSync(readFileName, made.stdout, { mode: 0o600 });
    const readOnly = (...args: string[]) => ask(...args, "--token-file", readFileName);
    await waitFor(async () => (await readOnly("runs")).exitCode === 0);
    assert.match((await readOnly("rerun", "1")).stderr, /"dash" may look at everything/);
    const listed = await cli(["token", "list", "--data", data]);
    assert.match(listed.stdout, /main +full\n.* dash +read-only /);
    assert.ok(!listed.stdout.includes("bt_"));

    // A login outlives the boss; a rotation ends it.
    const { cookie } = await logIn(url, token);
    const printed = await stop(up);
    assert.ok(!printed.includes(token));
    const again = start();
    const next = (await announced(again, "boss")).url;
    const renamed = cookie.replace(/^[^=]+/, `bettertest-${new URL(next).port}`);
    const session = () => fetch(`${next}/api/session`, { headers: { cookie: renamed } });
    assert.equal((await session()).status, 200);
    assert.equal((await cli(["token", "revoke", "dash", "--data", data])).exitCode, 0);
    const rotated = (await cli(["token", "rotate", "--data", data])).stdout.trim();
    assert.notEqual(rotated, token);
    await waitFor(async () => (await session()).status === 401);

    const audit = jsonLines((await cli(["audit", "--data", data, "--json"])).stdout);
    assert.deepEqual(
      audit
        .map(({ action, by }) => `${action} by ${by}`)
        .filter((line) => !line.includes("token-")),
      ["run-started by main", "login by main"],
    );
    assert.deepEqual(
      audit.map(({ action }) => String(action)).filter((action) => action.startsWith("token-")),
      ["token-created", "token-revoked", "token-rotated"],
    );
    assert.match(
      (await cli(["audit", "--data", data])).stdout,
      /run-started +main +token +127\.0\.0\.1 +run 1\n/,
    );
    await stop(again);
  });

  test("the token of this user's boss is not sent to what another user has put in its place", {
    skip: process.getuid?.() === 0 && process.platform === "linux" ? false : "needs root on Linux",
  }, async (t) => {
    using home = tempRepo({});
    const script = `require("node:http").createServer((request, response) => {
      console.log(request.headers.authorization ?? "nothing");
      response.end("[]");
    }).listen(0, "127.0.0.1", function () { console.log(this.address().port); })`;
    const nobody = 65_534;
    const heard: string[] = [];
    for (const uid of [0, nobody]) {
      const server = spawn(process.execPath, ["-e", script], {
        uid,
        gid: uid,
        cwd: "/",
        stdio: ["ignore", "pipe", "inherit"],
      });
      t.after(() => server.kill());
      const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
      const { value: port } = await lines.next();
      const access = `${home.folder}/.local/share/bettertest/boss-${port}`;
      const made = await cli(["token", "rotate", "--data", access], { env: { HOME: home.folder } });
      assert.equal(made.exitCode, 0, made.stderr);
      await cli(["runs", "--boss", `127.0.0.1:${port}`], { env: { HOME: home.folder } });
      heard.push((await lines.next()).value);
    }
    assert.match(heard[0]!, /^Bearer bt_/);
    assert.equal(heard[1], "nothing");
  });

  test("a worker beyond this machine runs for a boss that has its token, and for nobody else", async () => {
    using repo = tempRepo({ [pipedef]: stages });
    const data = join(repo.folder, "data");
    const worker = startCli(["worker", ...onAll, "--data", data]);
    const { url, tokenFile } = await announced(worker, "worker");
    assert.equal(tokenFile, join(data, "access/worker-token"));
    const run = (...args: string[]) =>
      cli(["run", "--worker", url, "--output", "all", ...args], { cwd: repo.folder });
    const without = await run();
    assert.equal(without.exitCode, 3);
    assert.match(without.stdout, /no token was sent.*--worker-token-file FILE/);

    const { stdout: token } = await cli(["token", "--worker", "--data", data]);
    const lines = join(repo.folder, "worker-tokens");
    writeFileSync(lines, `# big machine\n${url} ${token}`, { mode: 0o600 });
    const withToken = await run("--worker-token-file", lines);
    assert.equal(withToken.exitCode, 0, withToken.stdout);
    assert.match(withToken.stdout, /fine/);

    chmodSync(lines, 0o644);
    const open = await run("--worker-token-file", lines);
    assert.equal(open.exitCode, 2);
    assert.match(open.stderr, /can be read or written by others.*chmod 600/);
    const printed = await stop(worker);
    assert.ok(!printed.includes(token.trim()));
  });

  test("HTTPS for boss and worker, trusted by --tls-ca", { skip: noOpenssl }, async () => {
    using repo = tempRepo({ [pipedef]: stages });
    const { cert, key } = makeCertificate(repo.folder, "localhost");
    const tls = ["--tls-cert", cert, "--tls-key", key];
    const tokenFile = join(repo.folder, "token");
    mkdirSync(join(repo.folder, "data"));
    writeFileSync(tokenFile, "a-token-of-my-own-choice\n", { mode: 0o600 });
    const free = ["--port", "0", "--json", "--token-file", tokenFile, ...tls];
    const worker = startCli(["worker", "--executor", "process", ...free]);
    const { url: workerUrl } = await announced(worker, "worker");
    assert.match(workerUrl, /^https:/);
    const boss = startCli(
      ["boss", ...free, "--worker", workerUrl, "--worker-token-file", tokenFile, "--tls-ca", cert],
      { cwd: repo.folder },
    );
    const { url } = await announced(boss, "boss");
    const ask = (...args: string[]) => cli([...args, "--boss", url, "--token-file", tokenFile]);
    const untrusted = await ask("runs");
    assert.equal(untrusted.exitCode, 3);
    assert.match(untrusted.stderr, /self-signed certificate/);
    assert.equal((await ask("runs", "--tls-ca", cert)).stdout, "no runs yet\n");
    const run = await cli(
      ["run", "--worker", workerUrl, "--worker-token-file", tokenFile, "--tls-ca", cert],
      { cwd: repo.folder },
    );
    assert.equal(run.exitCode, 0, run.stdout + run.stderr);

    const other = makeCertificate(repo.folder, "other");
    const mixed = await cli(["worker", "--port", "0", "--tls-cert", cert, "--tls-key", other.key]);
    assert.equal(mixed.exitCode, 2);
    assert.match(
      mixed.stderr,
      /the key in .*other\.key does not belong to the certificate in .*localhost\.pem/,
    );
    const half = await cli(["worker", "--port", "0", "--tls-cert", cert]);
    assert.match(half.stderr, /--tls-cert and --tls-key need each other/);
    const none = await cli(["worker", "--port", "0", "--tls-cert", "/none", "--tls-key", key]);
    assert.match(none.stderr, /the certificate \/none cannot be read \(ENOENT\)/);

    // Renewed while they run.
    const fresh = makeCertificate(repo.folder, "localhost");
    await waitFor(async () => (await ask("runs", "--tls-ca", fresh.cert)).exitCode === 0);
    await Promise.all([stop(boss), stop(worker)]);
  });

  test("what cannot be done is said in words", async () => {
    using repo = tempRepo({ [pipedef]: stages });
    const token = (...args: string[]) => cli(["token", ...args, "--data", repo.folder]);
    const wrong: [string[], RegExp][] = [
      [[], /there is no token in .*access\/token yet.* token rotate --data \S+$/m],
      [["revoke"], /say which: bettertest token revoke NAME/],
      [["revoke", "main"], /bettertest token rotate/],
      [["revoke", "nobody"], /there is no token "nobody"/],
      [["rotate", "dash"], /rotate takes no "dash"/],
      [["create", "--worker"], /a worker has one token only/],
    ];
    for (const [args, words] of wrong) {
      const { exitCode, stderr } = await token(...args);
      assert.equal(exitCode, 2, args.join(" "));
      assert.match(stderr, words);
    }
    const proxy = await cli(["up", "--port", "0", "--trust-proxy", "nginx"], { cwd: repo.folder });
    assert.match(proxy.stderr, /nginx is no address of a proxy/);
  });
});
