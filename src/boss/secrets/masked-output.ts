import type { Masker } from "../../lib/masker.js";
import type { Secrets } from "./secrets.js";

type Write = (bytes: Uint8Array) => Promise<void> | undefined;

/** Order: write and release any number of times; release last, before whatever takes the bytes is closed. */
export interface MaskedOutput {
  readonly write: Write;
  /** Passes on what is held back, before something else is written behind it. */
  readonly release: () => Promise<void> | undefined;
}

/** A prompt without a line break must appear, also where it ends like a secret begins. */
const easeAfterMs = 50;

/** For one source of bytes: what another one writes in between must not tear a secret apart. */
export function maskedOutput(secrets: Secrets, write: Write): MaskedOutput {
  const masker = secrets.masker();
  return masker ? maskedBy(masker, write) : { write, release: nothingHeld };
}

function nothingHeld(): undefined {}

function maskedBy(masker: Masker, write: Write): MaskedOutput {
  let timer: NodeJS.Timeout | undefined;
  const pass = (bytes: Uint8Array) => (bytes.length > 0 ? write(bytes) : undefined);
  return {
    write(bytes) {
      clearTimeout(timer);
      const passed = pass(masker.push(bytes));
      if (masker.holds) timer = setTimeout(() => void pass(masker.ease()), easeAfterMs);
      return passed;
    },
    release() {
      clearTimeout(timer);
      return pass(masker.release());
    },
  };
}
