// What the engine tells while it builds: lines of JSON, with what people are to read in them.

import { StringDecoder } from "node:string_decoder";
import * as z from "zod";

const Line = z.object({
  stream: z.string().optional(),
  status: z.string().optional(),
  id: z.string().optional(),
  error: z.string().optional(),
  errorDetail: z.object({ code: z.number().int().optional() }).optional(),
  aux: z.object({ ID: z.string().optional() }).optional(),
});

/** Null: none yet; of a base, that it begins with nothing. */
interface Head {
  id: string | null;
  base: string | null;
}

/** Follows one build. */
export class BuildStream {
  /** Of the image, once it is done. */
  imageId: string | null = null;
  /** The last one begun: "2/3: RUN make". */
  step: string | null = null;
  error: { readonly message: string; readonly code: number } | null = null;
  /** The last image of each stage of the Dockerfile so far: all that is made hangs on these. */
  readonly heads: Head[] = [];
  #isNewStage = true;
  /** Of what no Dockerfile says. */
  #isHidden = false;
  #unfinished = "";
  readonly #decoder = new StringDecoder("utf8");
  readonly #statusOf = new Map<string, string>();

  /** Gives what is to be shown. */
  push(chunk: Uint8Array | string): string {
    const text = typeof chunk === "string" ? chunk : this.#decoder.write(Buffer.from(chunk));
    const lines = (this.#unfinished + text).split("\n");
    this.#unfinished = lines.pop()!;
    return lines.map((line) => this.#read(line)).join("");
  }

  end(): string {
    return this.push("\n");
  }

  #read(text: string): string {
    if (text.trim() === "") return "";
    const parsed = Line.safeParse(parseJson(text));
    if (!parsed.success) return "";
    const { stream = "", status, id = "", error, errorDetail, aux } = parsed.data;
    if (aux?.ID !== undefined) this.imageId = aux.ID;
    if (error !== undefined) {
      this.error = { message: error, code: errorDetail?.code ?? 0 };
      return `${error}\n`;
    }
    const step = /^Step (\d+)\/(\d+) : (.*)/s.exec(stream);
    let shown = stream;
    if (step) {
      const [, number, last, words = ""] = step;
      // The engine counts our label as the last one.
      const place = `${number}/${Number(last) - 1}`;
      this.#isHidden = number === last;
      if (!this.#isHidden) this.step = `${place}: ${words.trim()}`;
      shown = `Step ${place} : ${words}`;
      this.#isNewStage = /^FROM\s/i.test(words);
      if (this.#isNewStage) this.heads.push({ id: null, base: null });
    }
    const made = /^ ---> ([0-9a-f]{12,64})\n?$/.exec(stream)?.[1];
    const head = this.heads.at(-1);
    if (made !== undefined && head) {
      // Of a FROM it is the image that was there before.
      if (this.#isNewStage) head.base = made;
      else head.id = made;
    }
    if (stream.startsWith("Successfully built")) this.#isHidden = false;
    if (this.#isHidden) return "";
    if (status === undefined) return shown;
    // The engine reports each layer many times a second; a log wants each state once.
    if (this.#statusOf.get(id) === status) return "";
    this.#statusOf.set(id, status);
    return id === "" ? `${status}\n` : `${id}: ${status}\n`;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The engine's classic builder builds; what only the newer one knows looks to it like a mistake. */
export function buildKitHint(message: string, dockerfile: string): string {
  const isNewer =
    /requires BuildKit/i.test(message) ||
    /Unknown flag: (link|parents|exclude|checksum|keep-git-dir|mount|network|security)/i.test(
      message,
    ) ||
    (/unknown instruction/i.test(message) &&
      /^\s*(RUN|COPY|ADD)\b.*<<-?\s*["']?\w/im.test(dockerfile)) ||
    /failed to parse platform : ""/.test(message);
  return isNewer
    ? ". This needs BuildKit; images are built by the engine's classic builder, which does not know it: " +
        "write it without (no RUN --mount, no COPY --link, no here-documents)"
    : "";
}
