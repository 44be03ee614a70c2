import assert from "node:assert/strict";
import { test } from "node:test";
import { baseImages, firstImage } from "../../../src/worker/images/dockerfile.js";

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
