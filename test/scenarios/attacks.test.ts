// What is tried against a real boss and a real worker, and what comes of it. The table in docs/security.md is
// this list: a row that is not tried, or an attack without a row, is a red test.

import assert from "node:assert/strict";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { accessPaths } from "../../src/access/access-paths.js";
import { readAudit } from "../../src/access/audit.js";
import { makeToken, writePrivateFile } from "../../src/access/token-file.js";
import { listTokens, revokeToken } from "../../src/access/token-folder.js";
import { fixedToken } from "../../src/access/tokens.js";
import { startBoss } from "../../src/boss/main.js";
import { startWorker } from "../../src/worker/main.js";
import { bearer, type Guarded, logIn, sendRaw, startGuarded, statusLines } from "../rig/guarded.js";
import { startRig } from "../rig/rig.js";

const script = "<script>alert(1)</script>";
const files = {
  ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
    const seen = JSON.stringify(process.env);
    stage("T", { a: () => { console.log(seen); return run("any", "env; cat /proc/$PPID/environ; echo '${script}'"); } });
    stage("Later", { ${JSON.stringify(script)}: () => run("any", "true"), sleeps: () => run("any", "sleep 60") });`,
};

interface Attack {
  readonly name: string;
  /** What comes of it, as in docs/security.md. */
  readonly answer: string;
  attempt(): Promise<string>;
}

// Others on this machine may use the defaults; every test of this file has servers of its own.
const guarded: Guarded = await startGuarded(files);
const open = await startRig({ files });
const { url, workerUrl, token, readOnlyToken, workerToken, data } = guarded;
const paths = accessPaths(data);
const marker = join(data, "owned");
const command = JSON.stringify({ image: "any", command: `touch ${marker}` });
const origin = new URL(url).origin;
const finished = await (async () => {
  const response = await post("/api/runs", { only: ["T"] }, bearer(token));
  const { run } = (await response.json()) as { run: number };
  return guarded.rig.boss.engine.finished(run);
})();

after(async () => {
  await guarded[Symbol.asyncDispose]();
  await open[Symbol.asyncDispose]();
});

function post(path: string, body: unknown, headers: Record<string, string> = {}) {
  return fetch(url + path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
    redirect: "manual",
  });
}

async function statusOf(answer: Response | Promise<Response>): Promise<string> {
  const response = await answer;
  await response.body?.cancel();
  return String(response.status);
}

const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(url + path, { headers, redirect: "manual" });

/** Of those with a full token, and of everybody else. */
function auditText(): string {
  return [paths.audit, `${paths.audit}.others`].map((file) => readFileSync(file, "utf8")).join("");
}

/** All the same, or all of them. */
function only(answers: readonly string[]): string {
  const different = [...new Set(answers)];
  return different.length === 1 ? String(different[0]) : answers.join(", ");
}

/** Not fetch: it does not let a Host be forged. */
function forged(at: string, path: string, headers: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(at + path, { method: "POST", headers }, (response) => {
      response.resume();
      resolve(String(response.statusCode));
    });
    sent.on("error", reject);
    sent.end(command);
  });
}

const runs = () => guarded.rig.boss.engine.store.runs({ limit: 100 }).length;

/** What a stream gives until it ends, by whichever side. */
async function untilCut(response: Response): Promise<string> {
  try {
    for await (const _ of response.body ?? []);
    return "ended";
  } catch {
    return "ended";
  }
}

/** A stream that is open: its first bytes have come. */
async function openStream(headers: Record<string, string>) {
  const response = await get("/api/events", headers);
  assert.equal(response.status, 200);
  return { ended: untilCut(response) };
}

const attacks: readonly Attack[] = [
  {
    name: "No token: API, metrics, health details, the page's script, an unknown path",
    answer: "401",
    attempt: async () => {
      const all = ["/api/runs", "/api/events", "/metrics", "/healthz", "/app.js", "/nothing"];
      return only(await Promise.all(all.map((path) => statusOf(get(path)))));
    },
  },
  {
    name: "A wrong token",
    answer: "401",
    attempt: () => statusOf(get("/api/runs", bearer(makeToken()))),
  },
  {
    name: "The right token in the query, as a password, or cut short",
    answer: "401",
    attempt: async () =>
      only([
        await statusOf(get(`/api/runs?token=${token}&access_token=${token}`)),
        await statusOf(
          get("/api/runs", {
            authorization: `Basic ${Buffer.from(`x:${token}`).toString("base64")}`,
          }),
        ),
        await statusOf(get("/api/runs", bearer(token.slice(0, -1)))),
      ]),
  },
  {
    name: "A read-only token starts, cancels, reruns a run, or uses another method",
    answer: "403",
    attempt: async () => {
      const id = finished.id;
      const calls = ["/api/runs", "/api/run", `/api/runs/${id}/cancel`, `/api/runs/${id}/rerun`];
      const statuses = calls.map((path) => statusOf(post(path, {}, bearer(readOnlyToken))));
      const others = ["DELETE", "PUT", "PATCH"].map((method) =>
        statusOf(fetch(`${url}/api/runs`, { method, headers: bearer(readOnlyToken) })),
      );
      assert.equal(await statusOf(get("/metrics", bearer(readOnlyToken))), "200");
      return only(await Promise.all([...statuses, ...others]));
    },
  },
  {
    name: "A method by another name (X-HTTP-Method-Override, _method) with a read-only token",
    answer: "a GET as before",
    attempt: async () => {
      const before = runs();
      const response = await get("/api/runs?_method=POST", {
        ...bearer(readOnlyToken),
        "x-http-method-override": "POST",
        "x-method-override": "POST",
      });
      assert.ok(Array.isArray(await response.json()));
      assert.equal(runs(), before);
      return "a GET as before";
    },
  },
  {
    name: "A command for the worker without its token, or with the boss's",
    answer: "401, nothing runs",
    attempt: async () => {
      const ask = (path: string, method: string, headers = {}) =>
        statusOf(
          fetch(workerUrl + path, {
            method,
            headers: { "content-type": "application/json", ...headers },
            ...(method !== "GET" && { body: command }),
          }),
        );
      const status = only([
        await ask("/run", "POST"),
        await ask("/run", "POST", bearer(token)),
        await ask("/run", "POST", bearer(readOnlyToken)),
        await ask("/executions/a", "PUT"),
        await ask("/executions/a", "DELETE"),
        await ask("/executions/a/output", "GET"),
        await ask("/info", "GET"),
      ]);
      return `${status}, ${existsSync(marker) ? "it ran" : "nothing runs"}`;
    },
  },
  {
    name: "The engine's socket, a mount, or more privileges in a command for the worker",
    answer: "400",
    attempt: async () => {
      const wishes = [
        { binds: ["/var/run/docker.sock:/s"] },
        { privileged: true },
        { HostConfig: { Privileged: true } },
        { capAdd: ["SYS_ADMIN"] },
        { volumes: ["/:/host"] },
      ];
      const asked = wishes.map((wish) =>
        statusOf(
          fetch(`${workerUrl}/run`, {
            method: "POST",
            headers: bearer(workerToken),
            body: JSON.stringify({ image: "any", command: "true", ...wish }),
          }),
        ),
      );
      return only(await Promise.all(asked));
    },
  },
  {
    name: "A task looks for a token in its environment, its parent's, or the pipedef's",
    answer: "none is there",
    attempt: async () => {
      const output = await get(`/api/runs/${finished.id}/tasks/T/a/output`, bearer(token)).then(
        (response) => response.text(),
      );
      assert.match(output, /PATH=/);
      for (const secret of [token, workerToken, readOnlyToken]) {
        assert.ok(!output.includes(secret));
      }
      return "none is there";
    },
  },
  {
    name: "A pipedef names a worker of its own choice, to be sent the workers' token",
    answer: "no token is sent",
    attempt: async () => {
      const { openWorkerTokens } = await import("../../src/access/worker-tokens.js");
      const file = join(data, "worker-tokens");
      writePrivateFile(file, `${workerToken}\nhttp://10.0.0.1:9009 ${makeToken()}\n`, {
        replace: true,
      });
      const tokens = openWorkerTokens({ file });
      assert.equal(tokens.tokenFor("http://mine:9009", true), workerToken);
      const sent = ["http://evil:9009", "http://10.0.0.1:9010", "https://10.0.0.1:9009"].map(
        (evil) => tokens.tokenFor(evil, false),
      );
      return only(sent.map((one) => (one === undefined ? "no token is sent" : "sent")));
    },
  },
  {
    name: "A token file that others can read, or a token short enough to be guessed",
    answer: "refused at the start",
    attempt: async () => {
      const file = join(data, "chosen");
      const start = async () => {
        try {
          await (
            await startWorker({ port: 0, executor: "process", access: { tokenFile: file } })
          ).stop();
          return "started";
        } catch (error) {
          return error instanceof Error ? error.message : "";
        }
      };
      const answers: string[] = [];
      for (const mode of [0o644, 0o640, 0o602]) {
        writeFileSync(file, `${makeToken()}\n`);
        chmodSync(file, mode);
        answers.push(await start());
      }
      assert.ok(answers.every((answer) => /can be read or written by others/.test(answer)));
      chmodSync(file, 0o600);
      writeFileSync(file, "letmein\n");
      assert.match(await start(), /too short/);
      await assert.rejects(startWorker({ host: "0.0.0.0", port: 0, executor: "process" }), /token/);
      return "refused at the start";
    },
  },
  {
    name: "A web page elsewhere reads or posts, with a token or without (foreign Origin)",
    answer: "403",
    attempt: async () => {
      const evil = { origin: "http://evil.example", ...bearer(token) };
      return only([
        await statusOf(get("/api/runs", evil)),
        await statusOf(post("/api/runs", {}, evil)),
        await statusOf(post("/api/runs", {}, { ...evil, origin: "null" })),
        await forged(workerUrl, "/run", { ...bearer(workerToken), origin: "http://evil.example" }),
        await forged(open.url, "/api/runs", { origin: "http://evil.example" }),
        await forged(open.worker.url, "/run", { origin: "null" }),
      ]);
    },
  },
  {
    name: "A web page elsewhere gives its own name to this machine (DNS rebinding)",
    answer: "403 on loopback, 401 elsewhere",
    attempt: async () => {
      const host = { host: "evil.example:9001" };
      const here = only([
        await forged(open.url, "/api/runs", host),
        await forged(open.worker.url, "/run", host),
      ]);
      // The browser has no cookie for that name.
      return `${here} on loopback, ${await forged(url, "/api/runs", host)} elsewhere`;
    },
  },
  {
    name: "A form on another site posts with a logged-in person's cookie (CSRF)",
    answer: "403, no run",
    attempt: async () => {
      const { cookie } = await logIn(url, token);
      const before = runs();
      const form = { "content-type": "application/x-www-form-urlencoded", cookie };
      const status = only([
        await statusOf(post("/api/run", "", { ...form, origin: "https://evil.example" })),
        await statusOf(post("/api/run", "", { ...form, origin: "null" })),
        await statusOf(post("/api/run", "", { ...form, "sec-fetch-site": "cross-site" })),
        await statusOf(post("/api/run", "", form)),
      ]);
      return `${status}, ${runs() === before ? "no run" : "a run"}`;
    },
  },
  {
    name: "Another site logs a person in, into an account of its own, or out",
    answer: "403",
    attempt: async () => {
      const { cookie } = await logIn(url, token);
      const foreign = { origin: "https://evil.example" };
      const answers = [
        await statusOf((await logIn(url, token, { headers: foreign })).response),
        await statusOf(fetch(`${url}/login`, { method: "POST", body: `token=${token}` })),
        await statusOf(post("/logout", "", { ...foreign, cookie })),
        await statusOf(post("/logout", "", { cookie })),
      ];
      assert.equal(await statusOf(get("/api/session", { cookie })), "200");
      return only(answers);
    },
  },
  {
    name: "Script reads the cookie, or another site has it sent",
    answer: "HttpOnly, SameSite=Strict; Secure and __Host- under HTTPS",
    attempt: async () => {
      const { response } = await logIn(url, token);
      assert.match(
        response.headers.get("set-cookie") ?? "",
        /^bettertest-\d+=[\w-]{43}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Strict$/,
      );
      const proxied = await startWithProxy();
      try {
        const { response } = await logIn(proxied.url, token, {
          headers: {
            origin: "https://ci.example",
            "x-forwarded-proto": "https",
            "x-forwarded-host": "ci.example",
          },
        });
        assert.match(
          response.headers.get("set-cookie") ?? "",
          /^__Host-bettertest=[\w-]{43}; .*HttpOnly; SameSite=Strict; Secure$/,
        );
      } finally {
        await proxied.stop();
      }
      return "HttpOnly, SameSite=Strict; Secure and __Host- under HTTPS";
    },
  },
  {
    name: "A session that the attacker knows is planted before the login (fixation)",
    answer: "a new one, the old one ends",
    attempt: async () => {
      const name = (await logIn(url, token)).cookie.split("=")[0];
      const planted = `${name}=${"A".repeat(43)}`;
      const { cookie } = await logIn(url, token, { headers: { cookie: planted } });
      assert.notEqual(cookie, planted);
      assert.equal(await statusOf(get("/api/session", { cookie: planted })), "401");
      const again = await logIn(url, token, { headers: { cookie } });
      assert.notEqual(again.cookie, cookie);
      assert.equal(await statusOf(get("/api/session", { cookie })), "401");
      assert.equal(await statusOf(get("/api/session", { cookie: again.cookie })), "200");
      return "a new one, the old one ends";
    },
  },
  {
    name: "A stolen cookie after the logout",
    answer: "401, its streams end",
    attempt: async () => {
      const { cookie } = await logIn(url, token);
      const stream = await openStream({ cookie });
      assert.equal(await statusOf(post("/logout", "", { cookie, origin })), "303");
      const status = await statusOf(get("/api/session", { cookie }));
      return `${status}, its streams ${(await stream.ended) === "ended" ? "end" : ""}`;
    },
  },
  {
    name: "A page of this server opened without a login, to be sent elsewhere after it (open redirect)",
    answer: "stays here",
    attempt: async () => {
      const wanted = [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/\t/evil.example",
        "\\\\evil.example",
        "/../../..//evil.example",
        "javascript:alert(1)",
        "/login?next=//evil.example",
        ".evil.example",
        "@evil.example",
      ];
      for (const next of wanted) {
        const { response } = await logIn(url, token, { next });
        const location = new URL(response.headers.get("location") ?? "", url);
        assert.equal(location.origin, origin, next);
        assert.ok(!location.pathname.startsWith("//"), next);
      }
      return "stays here";
    },
  },
  {
    name: "Line breaks in next, to write headers of one's own into the answer",
    answer: "no such header",
    attempt: async () => {
      const next = "/runs\r\nset-cookie: owned=1\r\n\r\n<script>";
      const { response } = await logIn(url, token, { next });
      assert.equal(response.headers.get("location"), "/");
      const page = await fetch(`${url}/x%0d%0aset-cookie:%20owned=1`, {
        headers: { accept: "text/html" },
        redirect: "manual",
      });
      assert.equal(page.status, 302);
      for (const { headers } of [response, page]) {
        assert.ok(!(headers.get("set-cookie") ?? "").includes("owned"));
      }
      return "no such header";
    },
  },
  {
    name: "HTML in next, on the login page",
    answer: "escaped, and no script may run",
    attempt: async () => {
      const next = `/"><script>alert(1)</script>`;
      const response = await get(`/login?next=${encodeURIComponent(next)}`);
      assert.ok(!(await response.text()).includes("<script"));
      assert.match(response.headers.get("content-security-policy") ?? "", /^default-src 'none'/);
      return "escaped, and no script may run";
    },
  },
  {
    name: "Tokens tried one after the other, by bearer and by the form",
    answer: "429 after five; who had been in stays in",
    attempt: async () => {
      await using own = await startGuarded({});
      assert.equal((await logIn(own.url, own.token)).response.status, 303);
      const statuses: number[] = [];
      for (let index = 0; index < 20; index++) {
        const { response } = await logIn(own.url, makeToken());
        statuses.push(response.status);
      }
      assert.deepEqual(statuses.slice(0, 6), [401, 401, 401, 401, 401, 429]);
      assert.ok(statuses.slice(5).every((status) => status === 429));
      const bearers = await fetch(`${own.url}/api/runs`, { headers: bearer(makeToken()) });
      assert.deepEqual([bearers.status, bearers.headers.get("retry-after")], [429, "1"]);
      // A right guess does not help either, from an address that guesses.
      const guess = await fetch(`${own.url}/api/runs`, { headers: bearer(own.readOnlyToken) });
      assert.equal(guess.status, 429);
      const known = await fetch(`${own.url}/api/runs`, { headers: bearer(own.token) });
      assert.equal(known.status, 200);
      assert.equal(
        own.logged.filter((line) => line.startsWith("a wrong token from 127.0.0.1")).length,
        5,
      );
      const failed = readAudit(accessPaths(own.data).audit).filter(
        ({ action }) => action === "login-failed",
      );
      assert.equal(failed.length, 5);
      return "429 after five; who had been in stays in";
    },
  },
  {
    name: "X-Forwarded-For forged, to be another address with each try or to shift the blame",
    answer: "ignored, unless from a trusted proxy",
    attempt: async () => {
      await using own = await startGuarded({});
      let last = 0;
      for (let index = 0; index < 8; index++) {
        const headers = { ...bearer(makeToken()), "x-forwarded-for": `10.0.0.${index}` };
        last = (await fetch(`${own.url}/api/runs`, { headers })).status;
      }
      assert.equal(last, 429);
      assert.ok(own.logged.every((line) => !line.includes("10.0.0.")));
      return "ignored, unless from a trusted proxy";
    },
  },
  {
    name: "How long a comparison takes, to find a token byte by byte",
    answer: "the same, however much is right",
    attempt: async () => {
      const right = makeToken();
      const tokens = fixedToken(right);
      const samples = [right, `${right.slice(0, -1)}!`, `!${right.slice(1)}`, makeToken()].map(
        (given) => ({ given, times: [] as number[] }),
      );
      for (let round = 0; round < 3000; round++) {
        for (const { given, times } of samples) {
          const began = process.hrtime.bigint();
          tokens.find(given);
          times.push(Number(process.hrtime.bigint() - began));
        }
      }
      const medians = samples.map(({ times }) => times.sort((a, b) => a - b)[1500] ?? 0);
      const ratio = Math.max(...medians) / Math.min(...medians);
      assert.ok(ratio < 1.5, `medians in ns: ${medians}`);
      return "the same, however much is right";
    },
  },
  {
    name: "A token is revoked or rotated while its holder listens",
    answer: "401, its logins and streams end",
    attempt: async () => {
      await using own = await startGuarded({});
      const listen = async (headers: Record<string, string>) => {
        const response = await fetch(`${own.url}/api/events`, { headers });
        assert.equal(response.status, 200);
        return { ended: untilCut(response) };
      };
      const { cookie } = await logIn(own.url, own.token);
      const reader = await listen(bearer(own.readOnlyToken));
      const main = [await listen(bearer(own.token)), await listen({ cookie })];
      const { more, token: file } = accessPaths(own.data);
      for (const { id } of listTokens(more, assert.fail)) revokeToken(more, id);
      await reader.ended;
      const fresh = makeToken();
      writePrivateFile(file, `${fresh}\n`, { replace: true });
      for (const { ended } of main) await ended;
      const ask = (headers: Record<string, string>) =>
        statusOf(fetch(`${own.url}/api/runs`, { headers }));
      assert.equal(await ask(bearer(fresh)), "200");
      const old = [bearer(own.readOnlyToken), bearer(own.token), { cookie }];
      return `${only(await Promise.all(old.map(ask)))}, its logins and streams end`;
    },
  },
  {
    name: "Paths that climb out of the page's folder, in seven spellings",
    answer: "404",
    attempt: async () => {
      const spellings = [
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2f..%2fetc/passwd",
        "/..%5c..%5c..%5cetc%5cpasswd",
        "/%252e%252e%252fetc/passwd",
        "/app.js/../../../package.json",
        "/app.js%00.html",
      ];
      const answers: string[] = [];
      for (const path of spellings) {
        const text = await sendRaw(
          url,
          `GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`,
        );
        assert.ok(!text.includes("root:") && !text.includes('"dependencies"'), path);
        answers.push(String(statusLines(text)[0]));
      }
      return only(answers);
    },
  },
  {
    name: "Paths that look open but end elsewhere (/health/../api/runs)",
    answer: "401",
    attempt: async () => {
      const spellings = [
        "/health/../api/runs",
        "/health/%2e%2e/api/runs",
        "//health/../../api/runs",
        "/login/../api/runs",
        "/login.css/..;/api/runs",
        "/HEALTH/../api/runs",
        "http://x/api/runs",
      ];
      const answers: string[] = [];
      for (const path of spellings) {
        const text = await sendRaw(
          url,
          `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
        );
        assert.ok(!text.includes('"createdAt"'), path);
        answers.push(String(statusLines(text)[0]));
      }
      return only(answers);
    },
  },
  {
    name: "Names of runs, stages, tasks and executions that are paths",
    answer: "refused",
    attempt: async () => {
      const climbs = [
        "..%2f..%2f..%2faccess%2ftoken",
        "%2e%2e",
        "..%2faccess",
        "a%00b",
        "%2fetc%2fpasswd",
      ];
      for (const climb of climbs) {
        const outputs = [
          `/api/runs/${finished.id}/tasks/T/${climb}/output`,
          `/api/runs/${finished.id}/tasks/${climb}/a/output`,
          `/api/runs/${climb}`,
          `/api/runs/${finished.id}/tasks/T/a/output?attempt=${climb}`,
        ];
        for (const path of outputs) {
          const response = await get(path, bearer(token));
          assert.ok([400, 404].includes(response.status), `${path} ${response.status}`);
          assert.ok(!(await response.text()).includes("bt_"));
        }
        const response = await fetch(`${workerUrl}/executions/${climb}`, {
          method: "PUT",
          headers: bearer(workerToken),
          body: JSON.stringify({ image: "any", command: "true" }),
        });
        assert.ok([400, 404].includes(response.status), `${climb} ${response.status}`);
        await response.body?.cancel();
      }
      return "refused";
    },
  },
  {
    name: "A body of 64 MiB, with its length or in chunks; a login form of 1 MiB",
    answer: "413",
    attempt: async () => {
      const piece = Buffer.alloc(2 ** 20, " ");
      async function* pieces() {
        for (let index = 0; index < 64; index++) yield piece;
      }
      const statusOfFlood = async (target: string, given: string) => {
        try {
          return await statusOf(
            fetch(target, {
              method: "POST",
              headers: bearer(given),
              body: pieces(),
              duplex: "half",
            } as RequestInit),
          );
        } catch {
          // The server answered and closed while we still sent; some clients then see the cut alone.
          return "413";
        }
      };
      return only([
        await statusOfFlood(`${url}/api/runs`, token),
        await statusOfFlood(`${workerUrl}/run`, workerToken),
        await statusOf(fetch(`${url}/login`, { method: "POST", headers: { origin }, body: piece })),
        String(
          statusLines(
            await sendRaw(
              url,
              Buffer.concat([
                Buffer.from(
                  `POST /api/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Length: ${2 ** 26}\r\n\r\n`,
                ),
                piece,
                piece,
              ]),
            ),
          )[0],
        ),
      ]);
    },
  },
  {
    name: "Headers of 64 KiB, or 5,000 of them",
    answer: "431",
    attempt: async () => {
      const large = `GET /health HTTP/1.1\r\nHost: x\r\nX-A: ${"a".repeat(65_536)}\r\n\r\n`;
      const many = `GET /health HTTP/1.1\r\nHost: x\r\n${"X-A: 1234567890\r\n".repeat(5000)}\r\n`;
      const answers = await Promise.all([sendRaw(url, large), sendRaw(workerUrl, many)]);
      return only(answers.map((text) => String(statusLines(text)[0])));
    },
  },
  {
    name: "Headers that come a byte at a time, for ever (slow loris)",
    answer: "408 within 30 s",
    attempt: async () => {
      const began = performance.now();
      const text = await dribble(url);
      assert.ok(performance.now() - began < 40_000);
      return `${statusLines(text)[0]} within 30 s`;
    },
  },
  {
    name: "Two requests in one (smuggling): two lengths, length and chunks, odd chunk headers, bare line feeds",
    answer: "400, no run",
    attempt: async () => {
      const before = runs();
      const hidden = `POST /api/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Length: 2\r\n\r\n{}`;
      const auth = `Host: x\r\nAuthorization: Bearer ${readOnlyToken}`;
      const shapes = [
        `GET /api/runs HTTP/1.1\r\n${auth}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
        `GET /api/runs HTTP/1.1\r\n${auth}\r\nContent-Length: 0\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
        `GET /api/runs HTTP/1.1\r\n${auth}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${hidden}`,
        `GET /api/runs HTTP/1.1\r\n${auth}\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n${hidden}`,
        `GET /api/runs HTTP/1.1\r\n${auth}\r\nContent-Length: +0\r\n\r\n${hidden}`,
        `GET /api/runs HTTP/1.1\n${auth.replaceAll("\r", "")}\nX: y\n\n${hidden}`,
        `GET /api/runs HTTP/1.1\r\n${auth}\r\n X: folded\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n${hidden}`,
      ];
      const answers: string[] = [];
      for (const shape of shapes) {
        const text = await sendRaw(url, shape);
        answers.push(statusLines(text).join("+"));
      }
      return `${only(answers)}, ${runs() === before ? "no run" : "a run"}`;
    },
  },
  {
    name: "Line breaks and escape sequences for the log: in the path, the token, a header",
    answer: "one line, nothing that acts",
    attempt: async () => {
      await post("/api/runs", "{", bearer(token));
      await get("/api/%0d%0a%1b%5b2J", bearer(token));
      await get("/api/runs", { authorization: "Bearer x\u009b2Jy" });
      await sendRaw(
        url,
        `GET /a HTTP/1.1\r\nHost: x\r\nX: a\nY: \x1b[2J\r\nConnection: close\r\n\r\n`,
      );
      for (const line of guarded.logged) {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
        assert.doesNotMatch(line, /[\x00-\x08\x0b-\x1f\x7f-\x9f]/);
        assert.ok(!line.includes(token));
      }
      assert.equal(auditText().trimEnd().split("\n").length, readAudit(paths.audit).length);
      return "one line, nothing that acts";
    },
  },
  {
    name: "A look for tokens in the log, the audit log, stored sessions and further tokens",
    answer: "none, hashes only",
    attempt: async () => {
      const { cookie } = await logIn(url, token);
      const session = cookie.split("=")[1] ?? "";
      const kept = [
        guarded.logged.join("\n"),
        auditText(),
        readFileSync(paths.sessions, "utf8"),
        JSON.stringify(listTokens(paths.more, assert.fail)),
      ].join("\n");
      for (const secret of [token, workerToken, readOnlyToken, session]) {
        assert.ok(!kept.includes(secret));
      }
      return "none, hashes only";
    },
  },
  {
    name: "HTML in what a task prints and in its name, opened as a page",
    answer: "plain text, in a sandbox",
    attempt: async () => {
      const response = await get(`/api/runs/${finished.id}/tasks/T/a/output`, bearer(token));
      assert.ok((await response.text()).includes(script));
      const { headers } = response;
      assert.match(headers.get("content-type") ?? "", /^text\/plain/);
      assert.equal(headers.get("x-content-type-options"), "nosniff");
      assert.match(headers.get("content-security-policy") ?? "", /default-src 'none'.*sandbox/);
      const named = await get(`/api/runs/${finished.id}`, bearer(token));
      assert.match(named.headers.get("content-type") ?? "", /^application\/json/);
      return "plain text, in a sandbox";
    },
  },
  {
    name: "Any answer framed by another page, read by one, guessed to be another type, or cached",
    answer: "forbidden by headers on every answer",
    attempt: async () => {
      const paths = [
        "/",
        "/app.js",
        "/login",
        "/login.css",
        "/health",
        "/api/runs",
        "/nothing",
        "/metrics",
      ];
      for (const given of [bearer(token), {}]) {
        for (const path of paths) {
          const { headers } = await get(path, given);
          assert.match(
            headers.get("content-security-policy") ?? "",
            /frame-ancestors 'none'/,
            path,
          );
          assert.equal(headers.get("x-content-type-options"), "nosniff", path);
          assert.equal(headers.get("cross-origin-resource-policy"), "same-origin", path);
          assert.equal(headers.get("cross-origin-opener-policy"), "same-origin", path);
          assert.equal(headers.get("access-control-allow-origin"), null, path);
          assert.ok(headers.get("cache-control") !== null, path);
        }
      }
      const { headers } = await get("/", bearer(token));
      assert.doesNotMatch(headers.get("content-security-policy") ?? "", /unsafe/);
      return "forbidden by headers on every answer";
    },
  },
  {
    name: "An upgrade to a WebSocket or to HTTP/2; CONNECT and TRACE",
    answer: "none of them",
    attempt: async () => {
      const auth = `Host: x\r\nAuthorization: Bearer ${token}\r\n`;
      const upgrade = (to: string) =>
        `GET /api/events HTTP/1.1\r\n${auth}Connection: Upgrade, close\r\nUpgrade: ${to}\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n`;
      const tried = [
        upgrade("websocket").replace("/api/events", "/api/runs"),
        upgrade("h2c").replace("/api/events", "/api/runs"),
        `CONNECT evil.example:80 HTTP/1.1\r\n${auth}\r\n`,
        `TRACE /api/runs HTTP/1.1\r\n${auth}Connection: close\r\n\r\n`,
      ];
      const answers = await Promise.all(tried.map((bytes) => sendRaw(url, bytes)));
      for (const text of answers) assert.ok(!/^HTTP\/1\.1 101/m.test(text));
      const [, , connected = "", traced = ""] = answers;
      assert.ok(!statusLines(connected).includes(200));
      assert.ok(!traced.includes(token));
      return "none of them";
    },
  },
  {
    name: "JSON with __proto__, constructor or unknown fields",
    answer: "400, no prototype changed",
    attempt: async () => {
      const bodies = [
        '{"__proto__":{"admin":true}}',
        '{"constructor":{"prototype":{"admin":true}}}',
        '{"only":{"__proto__":[]}}',
        '{"trigger":"somebody else"}',
      ];
      const statuses = [];
      for (const body of bodies)
        statuses.push(await statusOf(post("/api/runs", body, bearer(token))));
      assert.equal(({} as Record<string, unknown>).admin, undefined);
      return `${only(statuses)}, no prototype changed`;
    },
  },
  {
    name: "JSON nested 100,000 deep, broken UTF-8, a number beyond all bounds",
    answer: "400",
    attempt: async () => {
      const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
      const send = (body: string | Buffer) =>
        statusOf(
          fetch(`${url}/api/runs`, {
            method: "POST",
            headers: bearer(token),
            body: new Uint8Array(Buffer.from(body)),
          }),
        );
      return only([
        await send(deep),
        await send(`{"only":${deep}}`),
        await send(Buffer.from([0x7b, 0xff, 0xfe, 0x7d])),
        await send('{"keepGoing":1e999}'),
        await statusOf(get("/api/runs?limit=1e999", bearer(token))),
        await statusOf(get("/api/runs?before=-1", bearer(token))),
      ]);
    },
  },
  {
    name: "A name for a token that writes lines of its own into logs and tables",
    answer: "refused",
    attempt: async () => {
      const { cli } = await import("../cli/rig.js");
      const names = ["a\nb", "\u001b[2J", "main", "<b>", "x".repeat(65)];
      for (const name of names) {
        const { exitCode } = await cli(["token", "create", "--data", data, "--name", name]);
        assert.equal(exitCode, 2, JSON.stringify(name));
      }
      return "refused";
    },
  },
  {
    name: "Listening beyond this machine with no place for a token",
    answer: "refused at the start",
    attempt: async () => {
      const { engineDefaults } = await import("../../src/boss/engine-options.js");
      const boss = startBoss({
        ...engineDefaults,
        pipedefs: [],
        workers: [],
        host: "0.0.0.0",
        port: 0,
        version: "0",
        log: () => {},
      });
      await assert.rejects(boss, /lets in nobody without a token/);
      return "refused at the start";
    },
  },
];

/** One with a proxy on this machine that it trusts. */
async function startWithProxy() {
  const { engineDefaults } = await import("../../src/boss/engine-options.js");
  const boss = await startBoss({
    ...engineDefaults,
    pipedefs: [],
    workers: [],
    host: "127.0.0.1",
    port: 0,
    access: { tokenFile: paths.token, trustProxy: ["127.0.0.1"] },
    version: "0",
    log: () => {},
  });
  return { url: boss.url, stop: () => boss.stop() };
}

function dribble(at: string): Promise<string> {
  const { hostname, port } = new URL(at);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () =>
      socket.write("GET /health HTTP/1.1\r\nHost: x\r\nX: "),
    );
    const timer = setInterval(() => socket.write("a"), 500);
    let text = "";
    socket.setEncoding("latin1").on("data", (chunk: string) => {
      text += chunk;
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      clearInterval(timer);
      resolve(text);
    });
  });
}

suite("attacks", { concurrency: false }, () => {
  const documented = readFileSync(new URL("../../../docs/security.md", import.meta.url), "utf8");
  for (const { name, answer, attempt } of attacks) {
    test(`${name}: ${answer}`, async () => {
      assert.equal(await attempt(), answer);
      assert.ok(
        documented.includes(`| ${name} | ${answer} |`),
        "this row is not in docs/security.md",
      );
    });
  }

  test("docs/security.md claims nothing that is not tried", () => {
    const [, table = ""] = documented.split("<!-- test/scenarios/attacks.test.ts -->");
    const rows = table.split("\n").filter((line) => line.startsWith("| "));
    const known = attacks.map(({ name, answer }) => `| ${name} | ${answer} |`);
    assert.deepEqual(
      rows.slice(1).map((row) => row.replace(/^\| \d+ /, "")),
      known,
    );
  });
});
