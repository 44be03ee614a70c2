import assert from "node:assert/strict";
import { test } from "node:test";
import { ownerIn } from "../../../src/worker/executors/docker-users.js";

const passwd =
  "root:x:0:0::/root:/bin/sh\nbroken\nbuild:x:1000:1001::/:/bin/sh\n7:x:1007:1008::/:\n";

test("a user is found as engines find him", () => {
  assert.deepEqual(ownerIn(passwd, "build"), { uid: 1000, gid: 1001 });
  assert.deepEqual(ownerIn(passwd, "1000"), { uid: 1000, gid: 1001 });
  assert.deepEqual(ownerIn(passwd, "7"), { uid: 1007, gid: 1008 });
  assert.deepEqual(ownerIn(passwd, "1234"), { uid: 1234, gid: 0 });
  assert.deepEqual(ownerIn("", "1234"), { uid: 1234, gid: 0 });
  assert.equal(ownerIn(passwd, "nobody"), null);
});
