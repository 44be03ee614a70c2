// What the services of a command print, and whether one ended before the command.

import type { ByteLog } from "../lib/byte-log.js";
import type { ServiceEnd, Services } from "../wire/service.js";
import type {
  OutputSink,
  SandboxBuild,
  SandboxExit,
  SandboxSpec,
  ServicesIo,
} from "./executors/executor.js";

export class ServiceOutputs implements ServicesIo {
  readonly #names: readonly string[];
  readonly #say: (text: string) => void;
  readonly #logs = new Map<string, ByteLog>();
  #hasEnded = false;
  readonly #deaths = new Map<string, NonNullable<ServiceEnd["died"]>>();

  /** `say`: tells in the command's own output. */
  constructor(names: readonly string[], say: (text: string) => void) {
    this.#names = names;
    this.#say = say;
  }

  open(openOutput: (service: string) => ByteLog): void {
    for (const name of this.#names) this.#logs.set(name, openOutput(name));
  }

  log(name: string): ByteLog | undefined {
    return this.#logs.get(name);
  }

  output(name: string): OutputSink {
    const log = this.#logs.get(name);
    let hasFailed = false;
    return (chunk) => {
      if (!log || hasFailed || this.#hasEnded) return undefined;
      // What is lost is said where it is missed, as far as that is still possible.
      if (log.error) {
        hasFailed = true;
        this.#say(
          `bettertest: the output of service "${name}" cannot be kept: ${log.error.message}\n`,
        );
        return undefined;
      }
      return log.append(chunk);
    };
  }

  died(name: string, { exitCode, outOfMemory }: SandboxExit): void {
    this.#deaths.set(name, { exitCode, outOfMemory });
    const how = outOfMemory ? "ran out of memory" : `ended with exit code ${exitCode}`;
    this.#say(`bettertest: service "${name}" ${how} while the command still ran\n`);
  }

  async end(): Promise<void> {
    this.#hasEnded = true;
    await Promise.all([...this.#logs.values()].map((log) => log.end()));
  }

  /** After the end. */
  ends(): Record<string, ServiceEnd> {
    const ends = this.#names.map((name): [string, ServiceEnd] => {
      const died = this.#deaths.get(name);
      return [name, { outputBytes: this.#logs.get(name)?.length ?? 0, ...(died && { died }) }];
    });
    return Object.fromEntries(ends);
  }
}

/** With their secrets and how their images are made. */
export function servicesToStart(
  services: Services,
  builds: Readonly<Record<string, SandboxBuild>>,
): NonNullable<SandboxSpec["services"]> {
  const merged = Object.entries(services).map(([name, { secrets, ...service }]) => {
    const env = { ...service.env, ...secrets };
    const build = Object.hasOwn(builds, name) ? builds[name] : undefined;
    return [name, { ...service, env, ...(build && { build }) }];
  });
  return Object.fromEntries(merged);
}
