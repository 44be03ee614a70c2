// Credentials of private registries, from where `docker login` has put them.

import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import * as z from "zod";

export interface Credentials {
  readonly username: string;
  readonly password: string;
  readonly serveraddress: string;
}

const DockerConfig = z.object({
  auths: z.record(z.string(), z.object({ auth: z.string().optional() })).optional(),
  credsStore: z.string().optional(),
  credHelpers: z.record(z.string(), z.string()).optional(),
});
const HelperAnswer = z.object({ Username: z.string(), Secret: z.string() });

/** Docker Hub goes by this name in Docker's own files. */
const dockerHub = "https://index.docker.io/v1/";

/** Undefined where there are none: most images need none. */
export async function credentialsFor(image: string): Promise<Credentials | undefined> {
  const registry = registryOf(image);
  const config = await readConfig();
  if (!config) return undefined;
  const helper = config.credHelpers?.[registry] ?? config.credsStore;
  if (helper) return askHelper(helper, registry);
  const entry = config.auths?.[registry] ?? config.auths?.[`https://${registry}`];
  if (!entry?.auth) return undefined;
  const [username, ...password] = Buffer.from(entry.auth, "base64").toString().split(":");
  return { username: username ?? "", password: password.join(":"), serveraddress: registry };
}

/** "ghcr.io/a/b" is of ghcr.io, "a/b" of Docker Hub: a registry's name has a dot or a port, or is localhost. */
export function registryOf(image: string): string {
  const [first = "", ...rest] = image.split("/");
  const isRegistry = rest.length > 0 && (/[.:]/.test(first) || first === "localhost");
  return isRegistry && first !== "docker.io" ? first : dockerHub;
}

async function readConfig(): Promise<z.infer<typeof DockerConfig> | undefined> {
  const folder = process.env.DOCKER_CONFIG ?? join(homedir(), ".docker");
  try {
    return DockerConfig.parse(JSON.parse(await readFile(join(folder, "config.json"), "utf8")));
  } catch {
    // Without it, or with one that Docker itself could not read, images are asked for without credentials.
    return undefined;
  }
}

function askHelper(helper: string, registry: string): Promise<Credentials | undefined> {
  return new Promise((resolve) => {
    const child = execFile(`docker-credential-${helper}`, ["get"], (error, stdout) => {
      // A helper that has nothing for this registry says so by failing.
      if (error) return resolve(undefined);
      const answer = HelperAnswer.safeParse(safeJson(stdout));
      if (!answer.success) return resolve(undefined);
      const { Username: username, Secret: password } = answer.data;
      resolve({ username, password, serveraddress: registry });
    });
    child.stdin?.on("error", () => {});
    child.stdin?.end(registry);
  });
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
