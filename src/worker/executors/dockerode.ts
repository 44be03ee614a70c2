// dockerode without what it loads in vain: gRPC, which only some builds of images need, and an SSH client, which
// only an engine at ssh:// needs, are most of its time to start. They are loaded when they are first used.

import { createRequire, Module } from "node:module";
import type { Duplex } from "node:stream";
import type Docker from "dockerode";
import * as z from "zod";

const fromHere = createRequire(import.meta.url);
const fromDockerode = createRequire(fromHere.resolve("dockerode"));

defer("./session.js");
defer("docker-modem/lib/ssh.js");

export const DockerClient: typeof Docker = fromHere("dockerode");

/** For a module that exports one function. Where a version of it has no such file, it is loaded as ever. */
function defer(path: string): void {
  let file: string;
  try {
    file = fromDockerode.resolve(path);
  } catch {
    return;
  }
  if (fromHere.cache[file]) return;
  const stub = new Module(file);
  stub.filename = file;
  stub.loaded = true;
  stub.exports = (...args: unknown[]) => {
    if (fromHere.cache[file] === stub) delete fromHere.cache[file];
    return fromDockerode(file)(...args);
  };
  fromHere.cache[file] = stub;
}

const SshModem = z.object({
  host: z.string(),
  port: z.union([z.string(), z.number()]).optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  sshOptions: z.record(z.string(), z.unknown()).optional(),
});

/** A connection as dockerode makes one for each request to an engine at ssh://. */
export function openSsh(modem: unknown): Promise<Duplex> {
  const { sshOptions, ...where } = SshModem.parse(modem);
  const agent = fromDockerode("docker-modem/lib/ssh.js")({ ...sshOptions, ...where });
  return new Promise((resolve, reject) => {
    agent.createConnection({}, (error: Error | null, stream: Duplex) => {
      if (error) reject(error);
      else resolve(stream);
    });
  });
}
