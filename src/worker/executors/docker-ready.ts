// Waits until a service may be used. What can be known only by trying is tried by a loop inside the service, with
// longer and longer pauses: one request to the engine, however long it takes, and nothing is left of it
// when the service is gone.

import type { Readable } from "node:stream";
import type Docker from "dockerode";
import type { ServiceReady } from "../../wire/service.js";
import { createDemux } from "./demux.js";
import { answered, engineWords, statusOf } from "./docker-errors.js";
import type { ContainerNews } from "./docker-link.js";
import { ExecutorFault } from "./executor.js";
import { LastLines } from "./last-lines.js";

export interface Waiting {
  /** Resolves when it is ready; rejects where that cannot be found out. */
  readonly ready: Promise<void>;
  /** What is waited for, and how the last try went. */
  why(): Promise<string>;
}

const untilItSucceeds = `w=0.05
until try; do
  sleep $w 2>/dev/null || sleep 1 || exit 125
  case $w in 0.05) w=0.1 ;; 0.1) w=0.2 ;; 0.2) w=0.5 ;; *) w=1 ;; esac
done`;

const commandScript = `command=$1
try() { sh -c "$command" </dev/null; }
${untilItSucceeds}`;

/** From the system's own tables, which name addresses as it keeps them: 127.x.y.z ends with 7F. */
const portScript = `port=$1
listens() {
  [ -r "$1" ] || return 1
  while read -r _ address _ state _; do
    case "$address $state" in
      ??????7F:"$port 0A" | 00000000000000000000000001000000:"$port 0A")
        echo "what listens there can be reached from inside the service alone" ;;
      *":$port 0A") return 0 ;;
    esac
  done <"$1"
  return 1
}
try() { listens /proc/net/tcp || listens /proc/net/tcp6; }
${untilItSucceeds}`;

export function whenReady(
  container: Docker.Container,
  { ready, news }: { readonly ready: ServiceReady | "health"; readonly news: ContainerNews },
): Waiting {
  if (ready === "health") {
    const why = async () => {
      const last = await lastCheck(container);
      return `the health check of its image did not pass${last === "" ? "" : ` (${last})`}`;
    };
    return { ready: news.healthy, why };
  }
  const said = new LastLines();
  const how =
    "command" in ready
      ? { script: commandScript, argument: ready.command, what: `\`${ready.command}\` failed` }
      : {
          script: portScript,
          argument: ready.port.toString(16).toUpperCase().padStart(4, "0"),
          what: `nothing could be reached on port ${ready.port}`,
        };
  return {
    ready: tried(container, [how.script, "sh", how.argument], said),
    why: async () => {
      const last = said.lines(1)[0];
      return last === undefined ? how.what : `${how.what} (${last})`;
    },
  };
}

async function tried(container: Docker.Container, script: readonly string[], said: LastLines) {
  let exitCode: number | null;
  try {
    const exec = await answered(
      container.exec({ Cmd: ["sh", "-c", ...script], AttachStdout: true, AttachStderr: true }),
    );
    const stream: Readable = await answered(exec.start({}));
    const payloadOf = createDemux();
    for await (const chunk of stream) said.push(payloadOf(chunk as Buffer));
    ({ ExitCode: exitCode } = await answered(exec.inspect()));
  } catch (error) {
    throw new ExecutorFault(`it could not be asked whether it is ready: ${engineWords(error)}`, {
      lost: statusOf(error) === null,
    });
  }
  if (exitCode === 0) return;
  const words = said.lines(1)[0] ?? `the shell ended with exit code ${exitCode}`;
  throw new ExecutorFault(`it could not be asked whether it is ready: ${words}`, {
    hint: "`ready` is tried by `sh` inside the service, so its image needs one",
  });
}

async function lastCheck(container: Docker.Container): Promise<string> {
  try {
    const { State } = await answered(container.inspect());
    const output = State.Health?.Log?.at(-1)?.Output ?? "";
    return output.trim().split("\n").at(-1)?.slice(0, 300) ?? "";
  } catch {
    return "";
  }
}
