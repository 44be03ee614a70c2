// What runs beside a command, as it comes from the worker: each service's output goes into a file of its own.

import type { ServiceEnded, ServiceSent } from "../../model/service.js";
import type { ServiceEnd } from "../../wire/service.js";
import type { AskedCommand } from "../../wire/worker.js";
import type { OutputTaker } from "../../wire/worker-output.js";
import type { ServiceOutputs, ServiceRef } from "../output/service-outputs.js";
import { type MaskedOutput, maskedOutput } from "../secrets/masked-output.js";
import type { Secrets } from "../secrets/secrets.js";

export interface CallServicesOptions {
  readonly outputPath: string;
  readonly call: number;
  readonly secrets: Secrets;
  readonly serviceOutputs: Pick<ServiceOutputs, "open" | "close">;
}

export class CallServices {
  readonly #options: CallServicesOptions;
  readonly #names: readonly string[];
  readonly #copies: MaskedOutput[] = [];

  constructor(names: readonly string[], options: CallServicesOptions) {
    this.#names = names;
    this.#options = options;
  }

  readonly take = (name: string): OutputTaker => {
    const { serviceOutputs, secrets } = this.#options;
    let copy: MaskedOutput | null = null;
    const opening = serviceOutputs.open(this.#ref(name)).then((log) => {
      copy = maskedOutput(secrets, (bytes) => log.append(bytes));
      this.#copies.push(copy);
      return copy;
    });
    this.#opening.push(opening);
    opening.catch(() => {});
    return (bytes) => {
      if (copy) return copy.write(bytes);
      // Of a chunk that nobody else has any more.
      return opening.then((opened) => opened.write(bytes));
    };
  };
  readonly #opening: Promise<unknown>[] = [];

  /** When all has been taken. */
  async finish(ends: Readonly<Record<string, ServiceEnd>>): Promise<ServiceEnded[]> {
    await Promise.allSettled(this.#opening);
    for (const copy of this.#copies) await copy.release();
    return Promise.all(
      this.#names.map(async (name) => {
        const bytes = await this.#options.serviceOutputs.close(this.#ref(name));
        const died = ends[name]?.died;
        return { name, bytes, ...(died && { died }) };
      }),
    );
  }

  #ref(name: string): ServiceRef {
    const { outputPath, call } = this.#options;
    return { outputPath, call, name };
  }
}

export function servicesIn({ services }: AskedCommand): readonly ServiceSent[] {
  return services ? Object.entries(services).map(([name, { image }]) => ({ name, image })) : [];
}
