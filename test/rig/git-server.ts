// Repos over HTTP, as plain files: `/group/name.git` is the folder `group/name`. Who asks for what is written down.

import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export interface GitServer extends AsyncDisposable {
  readonly url: string;
  /** Of all requests; "": none was sent. */
  readonly authorizations: Set<string>;
  readonly asked: string[];
  /** Commits files, and submodules by their paths; the commit. */
  commit(
    repo: string,
    files: Readonly<Record<string, string>>,
    submodules?: Readonly<Record<string, string>>,
  ): string;
  git(repo: string, ...args: readonly string[]): string;
}

/** With a password ("user:password"), only who says it is answered. */
export async function startGitServer(password?: string): Promise<GitServer> {
  const root = mkdtempSync(join(tmpdir(), "bettertest-git-server-"));
  const authorizations = new Set<string>();
  const asked: string[] = [];
  const wanted = password && `Basic ${Buffer.from(password).toString("base64")}`;
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://x");
    authorizations.add(request.headers.authorization ?? "");
    asked.push(pathname);
    if (wanted && request.headers.authorization !== wanted) {
      response.writeHead(401, { "www-authenticate": "Basic" }).end();
      return;
    }
    try {
      response.end(readFileSync(join(root, pathname.replace(".git/", "/.git/"))));
    } catch {
      response.writeHead(404).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");

  const git = (repo: string, ...args: readonly string[]) => {
    const who = ["-c", "user.name=a", "-c", "user.email=a@b"];
    return execFileSync("git", [...who, ...args], {
      cwd: join(root, repo),
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    }).trim();
  };
  return {
    url: `http://127.0.0.1:${address.port}`,
    authorizations,
    asked,
    git,
    commit(repo, files, submodules = {}) {
      const folder = join(root, repo);
      mkdirSync(folder, { recursive: true });
      git(repo, "init", "-q", "-b", "main");
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(folder, path)), { recursive: true });
        writeFileSync(join(folder, path), text);
      }
      git(repo, "add", "-A");
      // A folder that is not there is no submodule that has gone.
      for (const [path, commit] of Object.entries(submodules))
        git(repo, "update-index", "--add", "--cacheinfo", `160000,${commit},${path}`);
      git(repo, "commit", "-q", "--allow-empty", "-m", "more");
      git(repo, "update-server-info");
      return git(repo, "rev-parse", "HEAD");
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
      rmSync(root, { recursive: true, force: true });
    },
  };
}
