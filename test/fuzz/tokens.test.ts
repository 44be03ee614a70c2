// Whoever is let in has shown the token, and nothing but the token; whatever else comes is refused in words.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import fc from "fast-check";
import { guard } from "../../src/access/guard.js";
import { Login, safeNext } from "../../src/access/login.js";
import { Sessions } from "../../src/access/sessions.js";
import { makeToken, writePrivateFile } from "../../src/access/token-file.js";
import { fixedToken } from "../../src/access/tokens.js";
import { openWorkerTokens } from "../../src/access/worker-tokens.js";
import { fuzz, fuzzAsync, textOf } from "./fuzz.js";

const token = makeToken();
const tokens = fixedToken(token);
const sessions = new Sessions(null, () => {});
const known = sessions.open(tokens.find(token)!.hash, Date.now());

const header = textOf([
  "Bearer",
  "bearer",
  "Basic",
  " ",
  "  ",
  "\t",
  ",",
  token,
  token.slice(1),
  "=",
]);
const cookie = textOf(["bettertest-session", "__Host-", "=", ";", " ", ",", '"', known, token]);

fuzzAsync(
  "only the very token opens a server, in whatever header it comes",
  fc.tuple(fc.option(header), fc.option(cookie), fc.constantFrom("GET", "POST", "DELETE")),
  async ([authorization, cookies, method]) => {
    const headers = new Headers();
    try {
      if (authorization !== null) headers.set("authorization", authorization);
      if (cookies !== null) headers.set("cookie", cookies);
    } catch {
      // The listener refuses what is no header.
      return;
    }
    let isIn = false;
    // A new one each time: after some failures it lets its sender wait.
    const guarded = guard(
      () => {
        isIn = true;
        return new Response("in");
      },
      {
        tokens,
        senderOf: () => ({ address: "192.0.2.1", scheme: "http", host: "here" }),
        login: new Login(sessions, tokens),
        log: () => {},
        hint: "Ask its owner.",
      },
    );
    const request = new Request("http://here/api/runs", { method, headers });
    const answer = await guarded(request, {
      address: "192.0.2.1",
      scheme: "http",
      target: "/api/runs",
      cut() {},
      onClosed() {},
    });
    const sent = headers.get("authorization");
    const byToken =
      sent !== null && /^bearer +/i.test(sent) && sent.replace(/^\w+ +/, "") === token;
    const bySession = sent === null && method === "GET" && (cookies ?? "").includes(known);
    if (isIn) assert.ok(byToken || bySession, JSON.stringify([authorization, cookies, method]));
    else {
      assert.ok(!byToken);
      assert.ok([401, 403, 429].includes(answer.status), String(answer.status));
      assert.doesNotMatch(await answer.text(), new RegExp(token.slice(3)));
    }
  },
  { fewer: 10 },
);

fuzz(
  "a place to go to after the login is in this server",
  textOf([
    "/",
    "\\",
    "//",
    "http:",
    "@",
    "evil.example",
    "..",
    "%2f",
    "?",
    "#",
    "\n",
    "\t",
    ":",
    ".",
  ]),
  (next) => {
    const url = new URL(safeNext(next), "http://here");
    assert.equal(url.origin, "http://here");
    assert.match(safeNext(next), /^\/(?!\/)[\x21-\x7e]*$/);
  },
);

const folder = mkdtempSync(join(tmpdir(), "bettertest-fuzz-tokens-"));
after(() => rmSync(folder, { recursive: true }));
const path = join(folder, "workers");

fuzz(
  "a file of workers' tokens is read or refused; the refusal shows none, and none goes elsewhere",
  textOf([
    "http://w:1",
    "https://w",
    "w:1",
    " ",
    "\t",
    "\n",
    "\r\n",
    "#",
    token,
    "\ufeff",
    "data:x",
  ]),
  (text) => {
    writePrivateFile(path, text, { replace: true });
    let opened: ReturnType<typeof openWorkerTokens>;
    try {
      opened = openWorkerTokens({ file: path });
    } catch (error) {
      assert.ok(error instanceof Error);
      assert.ok(!error.message.includes(token.slice(3)), error.message);
      return;
    }
    for (const url of ["http://other:1", "data:x", "no url"]) {
      assert.equal(opened.tokenFor(url, false), undefined, url);
    }
  },
  { fewer: 20 },
);
