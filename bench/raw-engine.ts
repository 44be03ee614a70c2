// The least that a sandbox for each command can cost: the engine's API and nothing else. In a process of its own, as
// a script would do it: argv: how many, how many at a time. Prints the milliseconds that all took.

import { Agent, type IncomingMessage, request } from "node:http";
import { image } from "./stand.js";

const [count, lanes] = process.argv.slice(2).map(Number);
const socketPath = (process.env.DOCKER_HOST ?? "unix:///var/run/docker.sock").replace(
  "unix://",
  "",
);
const agent = new Agent({ keepAlive: true });

function ask(method: string, path: string, body?: object, own = false): Promise<IncomingMessage> {
  const text = body ? JSON.stringify(body) : "";
  return new Promise((resolve, reject) => {
    const asked = request({
      socketPath,
      method,
      path,
      // An attached stream is its connection's last use.
      agent: own ? false : agent,
      headers: {
        "content-length": Buffer.byteLength(text),
        ...(body && { "content-type": "application/json" }),
      },
    });
    asked.once("error", reject);
    asked.once("response", (response) => {
      if (response.statusCode! < 400) resolve(response);
      else reject(new Error(`${method} ${path}: the engine answered ${response.statusCode}`));
    });
    asked.end(text);
  });
}

async function read(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response) text += chunk;
  return text;
}

async function one() {
  const created = await ask("POST", "/containers/create", {
    Image: image,
    Cmd: ["sh", "-c", "echo hi"],
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: { LogConfig: { Type: "none", Config: {} } },
  });
  const { Id } = JSON.parse(await read(created));
  const container = `/containers/${Id}`;
  const output = await ask("POST", `${container}/attach?stream=1&stdout=1&stderr=1`, {}, true);
  await read(await ask("POST", `${container}/start`));
  const printed = await read(output);
  const { StatusCode } = JSON.parse(await read(await ask("POST", `${container}/wait`)));
  if (!printed.includes("hi") || StatusCode !== 0) throw new Error(`printed: ${printed}`);
  await read(await ask("DELETE", `${container}?v=1`));
}

const startedAt = performance.now();
let left = count!;
async function lane() {
  while (left-- > 0) await one();
}
await Promise.all(Array.from({ length: lanes! }, lane));
process.stdout.write(String(performance.now() - startedAt));
agent.destroy();
