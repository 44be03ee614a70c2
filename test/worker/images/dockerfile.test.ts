import assert from "node:assert/strict";
import { test } from "node:test";
import { baseImages, firstImage, hasUnclearBase } from "../../../src/worker/images/dockerfile.js";

test("a Dockerfile builds upon the images that its stages begin with or copy from", () => {
  const text = `
    # syntax=docker/dockerfile:1
    ARG VERSION=22 OTHER
    ARG FULL="node:\${VERSION}-slim"
    FROM --platform=linux/amd64 \${FULL} AS Build
    ARG VERSION=ignored
    RUN a && \\
      # a comment in between
      FROM-is-no-instruction
    from build
    COPY --from=0 /a /a
    COPY --from=tools:3 /b /b
    FROM scratch AS last
    COPY --chown=1 --from=last-not-yet /c /c
    FROM registry.example:5000/a/b@sha256:0000
  `;
  assert.deepEqual(baseImages(text, undefined), [
    "node:22-slim",
    "tools:3",
    "last-not-yet",
    "registry.example:5000/a/b@sha256:0000",
  ]);
  assert.deepEqual(baseImages(text, "BUILD"), ["node:22-slim"]);
  assert.deepEqual(baseImages(text, "1"), ["node:22-slim", "tools:3"]);
  assert.deepEqual(baseImages(text, "build", { VERSION: "20" }), ["node:20-slim"]);
});

test("arguments are put in as the engine does it; what is not understood is known as such", () => {
  const basesOf = (from: string) => baseImages(`ARG SET=1 EMPTY=\nFROM ${from}`, undefined);
  const isUnclear = (from: string) => hasUnclearBase(`ARG SET=1\nFROM ${from}`, undefined);
  /* biome-ignore-start lint/suspicious/noTemplateCurlyInString: so a Dockerfile names what it is given */
  for (const [from, base] of [
    ["a:${SET-2}", "a:1"],
    ["a:${NONE-2}", "a:2"],
    ["a:x${EMPTY-2}", "a:x"],
    ["a:${EMPTY:-2}", "a:2"],
    ["a:x${SET+2}", "a:x2"],
    ["a:x${EMPTY+2}", "a:x2"],
    ["a:x${EMPTY:+2}", "a:x"],
    ["a:x${NONE+2}", "a:x"],
    ["a:${NONE:-$SET}", "a:1"],
  ] as const) {
    assert.deepEqual(basesOf(from), [base], from);
    assert.equal(isUnclear(from), false, from);
  }
  for (const from of ["a:${SET#v}", "a:${NONE:-${SET}}", "a:${SET:-${NONE}}", "a:\\$SET"]) {
    assert.deepEqual(basesOf(from), [], from);
    assert.equal(isUnclear(from), true, from);
  }
  assert.equal(hasUnclearBase("FROM a\nCOPY --from=b:${V%x} / /", undefined), true);
  // Of a stage that is not built nothing is asked.
  assert.equal(hasUnclearBase("FROM a AS one\nFROM b:${V%x}", "one"), false);
  /* biome-ignore-end lint/suspicious/noTemplateCurlyInString: so a Dockerfile names what it is given */
});

test("an image begins with the one that its stage begins with, through stages before", () => {
  const text = "FROM a AS one\nFROM one AS two\nFROM b\nFROM TWO\nFROM scratch";
  const first = (target?: string) => firstImage(text, target);
  assert.deepEqual(["one", "two", "2", "3"].map(first), ["a", "a", "b", "a"]);
  assert.equal(first(), "scratch");
  assert.equal(firstImage("", undefined), "");
});

test("what no image can be called is left to the engine", () => {
  assert.deepEqual(baseImages("FROM $NONE\nFROM a b c\nRUN x", undefined), ["a"]);
  assert.deepEqual(baseImages("# escape=`\nFROM `\n  a:1 `\n  AS b\nFROM b", undefined), ["a:1"]);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: so a Dockerfile names what it is given
  assert.deepEqual(baseImages("ARG T\nFROM a:${T:-latest}\nFROM b${T:+:1}", undefined), [
    "a:latest",
    "b",
  ]);
  assert.deepEqual(baseImages("", undefined), []);
});
