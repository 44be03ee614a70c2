import assert from "node:assert/strict";
import { test } from "node:test";
import { bossArgument, runAgain } from "../../src/cli/say-again.js";

test("a command is said again with every flag that matters, in words for a shell", () => {
  const args = {
    only: ["Unit"],
    json: true,
    "keep-going": true,
    output: "all",
    executor: undefined,
    worker: ["http://a:9009", "http://b:9009/it's"],
    "worker-token-file": "my tokens",
    "allow-env": ["HOME"],
    "pipedef-host": "process",
    pull: "missing",
    "max-memory": "2g",
    "keep-failed": "30m",
  };
  assert.equal(
    runAgain({ stage: "Unit", task: "a b" }, "p.ts", args),
    "npx bettertest run p.ts --only 'Unit.a b' --worker http://a:9009 --worker 'http://b:9009/it'\\''s'" +
      " --worker-token-file 'my tokens' --max-memory 2g --pipedef-host process --allow-env HOME --keep-failed 30m",
  );
});

test("so is how a boss is reached", () => {
  assert.equal(bossArgument({}), "");
  assert.equal(
    bossArgument({ boss: "http://b/?a&b", "token-file": "t", "tls-ca": "ca.pem", follow: true }),
    " --boss 'http://b/?a&b' --token-file t --tls-ca ca.pem",
  );
});
