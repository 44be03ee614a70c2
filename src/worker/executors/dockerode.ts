// The engine's client, and a connection as it makes one for each request to an engine at ssh://.

import { createRequire } from "node:module";
import type { Duplex } from "node:stream";
import Docker from "dockerode";
import * as z from "zod";

export const DockerClient = Docker;

const SshModem = z.object({
  host: z.string(),
  port: z.union([z.string(), z.number()]).optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  sshOptions: z.record(z.string(), z.unknown()).optional(),
});

export function openSsh(modem: unknown): Promise<Duplex> {
  const { sshOptions, ...where } = SshModem.parse(modem);
  const fromDockerode = createRequire(createRequire(import.meta.url).resolve("dockerode"));
  const agent = fromDockerode("docker-modem/lib/ssh.js")({ ...sshOptions, ...where });
  return new Promise((resolve, reject) => {
    agent.createConnection({}, (error: Error | null, stream: Duplex) => {
      if (error) reject(error);
      else resolve(stream);
    });
  });
}
