// A registry with one image that needs a login, on loopback: Docker takes those without TLS.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { image as base } from "./docker.js";

export interface TestRegistry extends AsyncDisposable {
  /** Of the image, with registry and tag. */
  readonly image: string;
  /** "127.0.0.1:PORT". */
  readonly host: string;
  /** How often the image's layer was fetched. */
  readonly fetches: () => number;
}

const manifestType = "application/vnd.docker.distribution.manifest.v2+json";

export async function startRegistry(login: string): Promise<TestRegistry> {
  const container = execFileSync("docker", ["create", base], { encoding: "utf8" }).trim();
  const tar = execFileSync("docker", ["export", container], { maxBuffer: 2 ** 28 });
  execFileSync("docker", ["rm", container], { stdio: "ignore" });
  const layer = gzipSync(tar, { level: 1 });
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === "arm64" ? "arm64" : "amd64",
      os: "linux",
      config: { Env: ["PATH=/usr/bin:/bin"], Cmd: ["sh"] },
      rootfs: { type: "layers", diff_ids: [digestOf(tar)] },
    }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: {
        mediaType: "application/vnd.docker.container.image.v1+json",
        size: config.length,
        digest: digestOf(config),
      },
      layers: [
        {
          mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip",
          size: layer.length,
          digest: digestOf(layer),
        },
      ],
    }),
  );

  let fetches = 0;
  const server = createServer((request, response) => {
    if (request.headers.authorization !== `Basic ${Buffer.from(login).toString("base64")}`) {
      response.writeHead(401, { "www-authenticate": 'Basic realm="test"' });
      return response.end('{"errors":[{"code":"UNAUTHORIZED","message":"log in first"}]}');
    }
    const path = request.url ?? "";
    const answer = (body: Buffer, type: string) => {
      response.writeHead(200, {
        "content-type": type,
        "content-length": body.length,
        "docker-content-digest": digestOf(body),
      });
      response.end(request.method === "HEAD" ? undefined : body);
    };
    if (path === "/v2/") return answer(Buffer.from("{}"), "application/json");
    if (path.includes("/manifests/")) return answer(manifest, manifestType);
    if (path.endsWith(digestOf(config))) return answer(config, "application/octet-stream");
    if (path.endsWith(digestOf(layer))) {
      if (request.method === "GET") fetches += 1;
      return answer(layer, "application/octet-stream");
    }
    response.writeHead(404).end('{"errors":[{"code":"NAME_UNKNOWN"}]}');
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const image = `${host}/private/tests:1`;
  return {
    image,
    host,
    fetches: () => fetches,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      try {
        execFileSync("docker", ["rmi", "-f", image], { stdio: "ignore" });
      } catch {
        // It never arrived.
      }
    },
  };
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
