// Go, Rust and make: tools that know by themselves what to test.

import type { Ecosystem, RepoFiles } from "./repo.js";

export function detectGo(files: RepoFiles): Ecosystem | null {
  if (!files.has("go.mod")) return null;
  const version = /^go\s+(\d+\.\d+)/m.exec(files.read("go.mod"))?.[1] ?? "1.23";
  return {
    name: "go",
    because: "go.mod",
    docker: [
      `FROM golang:${version}`,
      "WORKDIR /repo",
      "COPY . .",
      "RUN go mod download && go build ./...",
    ],
    checks: [{ task: "vet", command: "go vet ./..." }],
    tests: [{ task: "test", command: "go test ./..." }],
  };
}

export function detectRust(files: RepoFiles): Ecosystem | null {
  if (!files.has("Cargo.toml")) return null;
  const locked = files.has("Cargo.lock") ? " --locked" : "";
  return {
    name: "rust",
    because: "Cargo.toml",
    docker: [
      "FROM rust:1",
      "RUN rustup component add clippy rustfmt",
      "WORKDIR /repo",
      "COPY . .",
      `RUN cargo test${locked} --no-run`,
    ],
    checks: [
      { task: "fmt", command: "cargo fmt --check" },
      { task: "clippy", command: `cargo clippy${locked} --all-targets -- -D warnings` },
    ],
    tests: [{ task: "test", command: `cargo test${locked}` }],
  };
}

const makefiles = ["GNUmakefile", "makefile", "Makefile"];

/** Only for those who have nothing else: a Makefile beside a package.json mostly calls it. */
export function detectMake(files: RepoFiles): Ecosystem | null {
  const file = makefiles.find((name) => files.has(name));
  if (file === undefined) return null;
  const targets = new Set(
    [...files.read(file).matchAll(/^([A-Za-z0-9_.-]+)\s*:(?!=)/gm)].map((match) => match[1] ?? ""),
  );
  const test = ["test", "tests", "check"].find((name) => targets.has(name));
  if (test === undefined) return null;
  const lint = ["lint", "format-check"].filter((name) => targets.has(name));
  return {
    name: "make",
    because: `${file} (target ${test})`,
    docker: [
      "FROM debian:stable-slim",
      "RUN apt-get update && apt-get install -y --no-install-recommends build-essential git && rm -rf /var/lib/apt/lists/*",
      "WORKDIR /repo",
      "COPY . .",
    ],
    checks: lint.map((name) => ({ task: name.replaceAll("-", "_"), command: `make ${name}` })),
    tests: [{ task: "test", command: `make ${test}` }],
  };
}
