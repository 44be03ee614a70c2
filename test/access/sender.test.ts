import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createSenderOf, isSameOrigin, type Sender } from "../../src/access/sender.js";

function senderOf(proxies: readonly string[], address: string): Sender {
  const headers = {
    host: "boss:9001",
    "x-forwarded-for": "6.6.6.6, 203.0.113.9",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "ci.example.com",
  };
  return createSenderOf(proxies)(new Request("http://boss:9001/", { headers }), {
    address,
    scheme: "http",
    target: "/",
    cut() {},
    onClosed() {},
  });
}

const direct = { address: "10.1.2.3", scheme: "http", host: "boss:9001" };
const proxied = { address: "203.0.113.9", scheme: "https", host: "ci.example.com" };

describe("the sender of a request", () => {
  test("is the peer, whatever its headers say", () => {
    assert.deepEqual(senderOf([], "10.1.2.3"), direct);
    assert.deepEqual(senderOf(["10.1.2.4", "192.168.0.0/16", "::1"], "10.1.2.3"), direct);
  });

  test("is who a trusted proxy says it is: the last one, not what the client wrote before", () => {
    assert.deepEqual(senderOf(["10.1.2.3"], "10.1.2.3"), proxied);
    assert.deepEqual(senderOf(["10.0.0.0/8"], "10.1.2.3"), proxied);
    assert.deepEqual(senderOf(["::1"], "::1"), proxied);
  });

  test("what is no address is refused", () => {
    for (const wrong of ["nginx", "10.0.0.0/99", "10.0.0.0/x", "10.0.0", ""]) {
      assert.throws(() => createSenderOf([wrong]), /is no address of a proxy/, wrong);
    }
  });

  test("has its own origin: scheme, name and port", () => {
    const own = ["https://ci.example.com", "https://ci.example.com:443"];
    const foreign = [
      "http://ci.example.com",
      "https://ci.example.com:8443",
      "https://ci.example.com.evil.example",
      "null",
      "",
    ];
    const sender: Sender = { ...direct, ...proxied, scheme: "https" };
    for (const origin of own) assert.ok(isSameOrigin(origin, sender), origin);
    for (const origin of foreign) assert.ok(!isSameOrigin(origin, sender), origin);
  });
});
