import assert from "node:assert/strict";
import { hostname } from "node:os";
import { describe, test } from "node:test";
import { guardLoopback } from "../../src/wire/loopback-guard.js";

const guarded = guardLoopback(() => new Response("in"), ["ci.example.com"]);

async function status(headers: Record<string, string>): Promise<number> {
  return (await guarded(new Request("http://localhost:9001/api/runs", { headers }))).status;
}

describe("a server on loopback", () => {
  const welcome: Record<string, string>[] = [
    { host: "localhost:9001" },
    { host: "127.0.0.1:9001" },
    { host: "[::1]:9001" },
    { host: "10.0.0.7:9001" },
    { host: "LOCALHOST" },
    { host: "boss.localhost" },
    { host: hostname() },
    { host: "localhost:9001", origin: "http://localhost:9001" },
    { host: "ci.example.com" },
    { host: "127.0.0.1:9001", origin: "https://ci.example.com" },
  ];
  for (const headers of welcome) {
    test(`lets in ${JSON.stringify(headers)}`, async () =>
      assert.equal(await status(headers), 200));
  }

  const foreign: Record<string, string>[] = [
    { host: "evil.example" },
    { host: "localhost.evil.example:9001" },
    { host: "127.0.0.1.evil.example" },
    { host: "" },
    { host: "a b" },
    { host: "localhost:9001", origin: "http://evil.example" },
    { host: "localhost:9001", origin: "null" },
    { host: "localhost:9001", origin: "http://localhost:8080" },
    { host: "localhost:9001", origin: "http://localhost:9001.evil.example" },
    { host: "127.0.0.1:9001", origin: "https://ci.example.com.evil.example" },
  ];
  for (const headers of foreign) {
    test(`refuses ${JSON.stringify(headers)}`, async () =>
      assert.equal(await status(headers), 403));
  }
});
