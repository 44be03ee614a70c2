// A secret on its way through the real system: where it must arrive, and where no trace of it may be left.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Secrets } from "../../src/boss/secrets/secrets.js";
import { findTask } from "../../src/model/run.js";
import { image, noDocker } from "../rig/docker.js";
import { type Rig, startRig } from "../rig/rig.js";

const token = 's3cr/t+Tok\'n "42" & more';
const key = `-----BEGIN KEY-----\n${"QmFzZTY0".repeat(9)}\n${"c2VjcmV0".repeat(9)}\n-----END KEY-----`;
const secrets = new Secrets(new Map(Object.entries({ TOKEN: token, KEY: key })), "secrets.env");

/** Every byte that the boss keeps of anything. */
function allFiles(path: string): string {
  return readdirSync(path, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"))
    .join("\n");
}

async function printedBy(rig: Rig, task: string): Promise<string> {
  const run = await rig.run({ only: [`Leak.task_${task}`] });
  const state = findTask(run, { stage: "Leak", task: `task_${task}` });
  assert.equal(state?.status, "passed", JSON.stringify(state?.attempts));
  return rig.output(run.id, "Leak", `task_${task}`);
}

interface Disguise {
  /** As in docs/security.md. */
  readonly name: string;
  readonly task: string;
  readonly command: string;
  /** As it would stand in the output, if nobody masked it. */
  readonly forms: readonly string[];
}

const base64 = (text: string) => Buffer.from(text).toString("base64");
const core = (text: string) => text.replace(/=+$/, "").slice(0, -1);

/** The commands are what people write; sh, printf, sed and base64 are those of the image. */
const disguises: readonly Disguise[] = [
  { name: "As it is", task: "plain", command: `echo "it is $TOKEN."`, forms: [token] },
  {
    name: "In two pieces, some time apart",
    task: "split_over_reads",
    command: `printf %.9s "$TOKEN"; sleep 0.3; printf '%s\\n' "\${TOKEN#?????????}"`,
    forms: [token, token.slice(9), token.slice(0, 9)],
  },
  {
    name: "A key of several lines: whole, one line of it, each line behind something else",
    task: "of_several_lines",
    command: `echo "$KEY"; echo "$KEY" | sed -n 2p; echo "$KEY" | sed 's/^/    | /'`,
    forms: key.split("\n"),
  },
  {
    name: "In base64, at each of the three places in its groups",
    task: "base64_at_each_offset",
    command: `for before in '' x xx; do printf '%s%s' "$before" "$TOKEN" | base64 -w0; echo; done`,
    forms: [
      core(base64(token)),
      core(base64(`x${token}`)).slice(2),
      core(base64(`xx${token}`)).slice(3),
    ],
  },
  {
    name: "In base64 within something longer, wrapped into lines",
    task: "base64_in_wrapped_lines",
    command: `printf 'a header of some length: %s' "$KEY" | base64 -w76`,
    forms: [core(base64(key)).slice(0, 40), core(base64(key)).slice(-60, -20)],
  },
  {
    name: "In a URL, as browsers write it and as forms do",
    task: "url",
    command: `printf 'https://x/?t=%s\\n' '${encodeURIComponent(token).replaceAll("'", "%27")}'; printf 'https://x/?t=%s\\n' '${new URLSearchParams({ t: token }).toString().slice(2)}'`,
    forms: [
      encodeURIComponent(token).replaceAll("'", "%27"),
      new URLSearchParams({ t: token }).toString().slice(2),
    ],
  },
  {
    name: "In JSON",
    task: "json",
    command: `printf '{"token":"%s"}\\n' "$(printf %s "$TOKEN" | sed 's/"/\\\\"/g')"`,
    forms: [JSON.stringify(token).slice(1, -1)],
  },
  {
    name: "In the trace of a shell (`sh -x`, `bash -x`)",
    task: "shell_trace",
    command: `bash -xc ': "$TOKEN"'; sh -xc ': "$TOKEN"'`,
    forms: [token.replaceAll("'", "'\\''"), token.replaceAll("'", `'"'"'`)],
  },
  {
    name: "In hex",
    task: "hex",
    command: `bash -c 'for ((i = 0; i < \${#TOKEN}; i++)); do printf %02x "'"'"'\${TOKEN:i:1}"; done; echo'`,
    forms: [Buffer.from(token).toString("hex").slice(0, 32)],
  },
];

const pipedef = `
  import { run, Stage } from "bettertest";
  const asked = { secrets: ["TOKEN", "KEY"], network: false };
  export class Leak extends Stage {
    ${disguises
      .map(({ task, command }) => {
        return `static task_${task}() { return run("${image}", ${JSON.stringify(command)}, asked); }`;
      })
      .join("\n")}
  }`;

test("no disguise of a secret gets into what is kept or shown", { skip: noDocker() }, async (t) => {
  await using rig = await startRig({
    executor: "docker",
    secrets,
    files: { ".bettertest/pipedef.ts": pipedef },
  });
  for (const { task, forms } of disguises) {
    await t.test(task, async () => {
      const output = await printedBy(rig, task);
      assert.match(output, /\*{6}/, output);
      const kept = allFiles(join(rig.folder, "data"));
      for (const form of forms) {
        assert.ok(!output.includes(form), `${form} is in:\n${output}`);
        assert.ok(!kept.includes(form), `${form} is in a file of the boss`);
      }
    });
  }
});

test("docs/security.md names these disguises, and no others", () => {
  const documented = readFileSync(new URL("../../../docs/security.md", import.meta.url), "utf8");
  const [, table = ""] = documented.split("<!-- test/scenarios/secrets.test.ts -->");
  const rows = table.split("\n").filter((line) => line.startsWith("| "));
  assert.deepEqual(
    rows.slice(1).map((row) => row.replace(/^\| \d+ /, "")),
    disguises.map(({ name }) => `| ${name} | asterisks |`),
  );
});

test("the command gets the very value, and only the task that asks for it", async () => {
  const expected = createHash("sha256").update(token).digest("hex");
  await using rig = await startRig({
    secrets,
    files: {
      ".bettertest/pipedef.ts": `
        import { run, stage } from "bettertest";
        stage("s", {
          asks: () => run("none", 'printf %s "$TOKEN" | sha256sum', { secrets: ["TOKEN"] }),
          "does not": () => run("none", 'test -z "\${TOKEN+set}"'),
        });`,
    },
  });
  const run = await rig.run();
  assert.equal(findTask(run, { stage: "s", task: "does not" })?.status, "passed");
  assert.equal((await rig.output(run.id, "s", "asks")).slice(0, 64), expected);
});

test("a secret is masked in events, in words about failures, and in what the pipedef itself prints", async () => {
  const literal = "hunter2-literal";
  const lines: string[] = [];
  await using rig = await startRig({
    secrets: new Secrets(new Map([["PASSWORD", literal]])),
    log: (line) => lines.push(line),
    files: {
      ".bettertest/pipedef.ts": `
        import { run, stage } from "bettertest";
        console.log("loading with ${literal}");
        stage("s", {
          prints: async () => {
            process.stdout.write("mine is hunter2");
            // Long enough to arrive as two pieces, most often; it must not matter.
            await new Promise((resolve) => setTimeout(resolve, 100));
            process.stdout.write("-literal, and more\\n");
            const { output } = await run("none", "echo ${literal}");
            console.log(JSON.stringify([...output]));
          },
          throws: () => { throw new Error("cannot log in with ${literal}"); },
          fails: () => run("none", "curl -u me:${literal} http://nowhere; exit 3"),
          faults: () => run("http://127.0.0.1:1/${literal}", "none", "true"),
        });`,
    },
  });
  const run = await rig.run();
  const stars = "*".repeat(literal.length);
  const printed = await rig.output(run.id, "s", "prints");
  assert.ok(printed.startsWith(`mine is ${stars}, and more\n${stars}\n`), printed);
  assert.ok(printed.includes(JSON.stringify([...stars, "\n"])), "the pipedef got the value");
  for (const task of ["throws", "fails", "faults"]) {
    const end = findTask(run, { stage: "s", task })?.attempts.at(-1)?.end;
    assert.match(JSON.stringify(end), /\*{15}/);
  }
  const seen = [
    JSON.stringify(await rig.get(`/api/runs/${run.id}`)),
    JSON.stringify(await rig.get("/api/pipelines")),
    allFiles(join(rig.folder, "data")),
    ...lines,
  ];
  for (const text of seen) assert.ok(!text.includes(literal), text);
});

test("a name that the file lacks is a fault in words, never a red test", async () => {
  await using rig = await startRig({
    secrets,
    files: {
      ".bettertest/pipedef.ts": `
        import { run, stage } from "bettertest";
        stage("s", { asks: () => run("none", "true", { secrets: ["NPM_TOKEN"] }) });`,
    },
  });
  const run = await rig.run();
  const end = findTask(run, { stage: "s", task: "asks" })?.attempts.at(-1)?.end;
  assert.ok(end?.status === "errored", JSON.stringify(end));
  assert.match(end.fault.message, /asks for the secret NPM_TOKEN/);
  assert.equal(end.fault.hint, "secrets.env holds: TOKEN, KEY");
});

test("a pipedef whose names hold a secret is not loaded, and its words about that hold none", async () => {
  await using rig = await startRig({
    secrets: new Secrets(new Map([["PASSWORD", "hunter2-literal"]])),
    files: {
      ".bettertest/pipedef.ts": `
        import { stage } from "bettertest";
        stage("s", { "logs in with hunter2-literal": () => {} });`,
    },
  });
  const [view] = await rig.get<{ problem: string }[]>("/api/pipelines");
  assert.match(view?.problem ?? "", /a name holds a secret: logs in with \*{15}/);
});

test("in Python too", async () => {
  await using rig = await startRig({
    secrets,
    files: {
      ".bettertest/pipedef.py": `
from bettertest import Stage, run

class Leak(Stage):
    def task_asks():
        print("mine: hunter2")
        run("none", 'echo "it is $TOKEN."; test -n "$TOKEN"', secrets=["TOKEN"])
`,
    },
  });
  const output = await printedBy(rig, "asks");
  assert.equal(output, `mine: hunter2\nit is ${"*".repeat(token.length)}.\n`);
});

test("a prompt without a line break appears, also where it ends like a secret begins", async () => {
  await using rig = await startRig({
    secrets: new Secrets(new Map([["WORD", ": xyz-secret"]])),
    files: {
      ".bettertest/pipedef.ts": `
        import { run, stage } from "bettertest";
        stage("s", { asks: () => run("none", "printf 'Password: '; exec sleep 60") });`,
    },
  });
  const started = rig.boss.engine.start({ trigger: "test" });
  assert.ok(started.ok);
  for await (const { event } of rig.sse(`/api/runs/${started.run}/events`)) {
    if (event === "call-started") break;
  }
  const response = await fetch(`${rig.url}/api/runs/${started.run}/tasks/s/asks/output?follow=1`);
  let seen = "";
  for await (const chunk of response.body!) {
    seen += Buffer.from(chunk).toString();
    if (seen === "Password: ") break;
  }
  assert.equal(seen, "Password: ");
  rig.boss.engine.cancel(started.run, "test");
});

test("no part of a secret is left where output is cut in the middle", async () => {
  await using rig = await startRig({
    secrets,
    maxOutputBytes: 100_000,
    files: {
      ".bettertest/pipedef.ts": `
        import { run, stage } from "bettertest";
        stage("s", {
          lines: () => run("none", 'yes "$TOKEN$TOKEN$TOKEN" | head -n 20000', { secrets: ["TOKEN"] }),
        });`,
    },
  });
  const run = await rig.run();
  const output = await rig.output(run.id, "s", "lines");
  assert.match(output, /^\*+\n[\s\S]*\n\[\d+ bytes are missing here[^\n]*\]\n[\s\S]*\*\n$/);
  const others = output.split("\n").filter((line) => !/^\**$/.test(line));
  assert.equal(others.length, 1, JSON.stringify(others.slice(0, 5)));
});
