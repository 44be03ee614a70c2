// What each command needs of the engine. All else, which is rare, goes by dockerode.

import type { Duplex } from "node:stream";
import type Docker from "dockerode";
import * as z from "zod";
import { dialOf } from "./dial.js";
import { EngineRefusal, EngineRequests } from "./requests.js";

const Named = z.object({ Id: z.string() });
const Waited = z.object({ StatusCode: z.number() });
const Inspected = z.object({
  State: z.object({ Running: z.boolean(), ExitCode: z.number(), OOMKilled: z.boolean() }),
});

export type ContainerState = z.infer<typeof Inspected>["State"];

export class EngineApi {
  readonly #requests: EngineRequests;

  constructor(docker: Docker) {
    this.#requests = new EngineRequests(dialOf(docker));
  }

  /** Null: there is no such image. */
  async imageId(image: string): Promise<string | null> {
    const name = image.split("/").map(encodeURIComponent).join("/");
    try {
      return Named.parse(await this.#requests.ask("GET", `/images/${name}/json`)).Id;
    } catch (error) {
      if (error instanceof EngineRefusal && error.statusCode === 404) return null;
      throw error;
    }
  }

  /** Resolves to its id. */
  async create({ name = "", ...config }: Docker.ContainerCreateOptions): Promise<string> {
    const path = `/containers/create?name=${encodeURIComponent(name)}`;
    return Named.parse(await this.#requests.ask("POST", path, { body: config })).Id;
  }

  /** Its three streams; what a container writes while nobody is attached is lost. */
  attach(container: string): Promise<Duplex> {
    return this.#requests.attach(
      `/containers/${container}/attach?stream=1&stdin=1&stdout=1&stderr=1`,
    );
  }

  async start(container: string): Promise<void> {
    await this.#requests.ask("POST", `/containers/${container}/start`);
  }

  async kill(container: string, signal: string): Promise<void> {
    await this.#requests.ask("POST", `/containers/${container}/kill?signal=${signal}`);
  }

  /** Resolves when it has ended, however long that takes. */
  async wait(container: string): Promise<void> {
    const options = { withinMs: null };
    Waited.parse(await this.#requests.ask("POST", `/containers/${container}/wait`, options));
  }

  async stateOf(container: string): Promise<ContainerState> {
    return Inspected.parse(await this.#requests.ask("GET", `/containers/${container}/json`)).State;
  }

  /** With its volumes, also while it runs. */
  async remove(container: string): Promise<void> {
    await this.#requests.ask("DELETE", `/containers/${container}?force=1&v=1`);
  }

  close(): void {
    this.#requests.close();
  }
}
