// One answer of an HTTP server, out of the pieces in which its bytes come. As much of HTTP/1.1 as engines, and what
// stands before them, make use of.

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
  /** The connection is good for another request. */
  readonly staysOpen: boolean;
}

export interface AnswerHead {
  readonly status: number;
  /** Of its body: a number of bytes, chunks that tell theirs, or all until the connection ends. */
  readonly length: number | "chunked" | "until end";
  readonly staysOpen: boolean;
  /** Where the body begins. */
  readonly bodyAt: number;
}

const headEnd = "\r\n\r\n";
/** More is no head. */
const mostHeadBytes = 64 * 1024;

/** Null: not all of it has come. */
export function readHead(bytes: Buffer): AnswerHead | null {
  const end = bytes.indexOf(headEnd);
  if (end < 0) {
    if (bytes.length > mostHeadBytes) throw new Error("what answers does not speak HTTP");
    return null;
  }
  const text = bytes.toString("latin1", 0, end);
  const start = /^HTTP\/1\.([01]) (\d{3})/.exec(text);
  if (!start) throw new Error("what answers does not speak HTTP");
  const status = Number(start[2]);
  const bodyAt = end + headEnd.length;
  // Not yet the answer.
  if (status >= 100 && status < 200 && status !== 101) {
    const next = readHead(bytes.subarray(bodyAt));
    return next && { ...next, bodyAt: bodyAt + next.bodyAt };
  }
  const connection = fieldOf(text, "connection");
  const staysOpen = start[1] === "1" && !/\bclose\b/i.test(connection);
  return { status, length: lengthOf(text, status), staysOpen, bodyAt };
}

function lengthOf(head: string, status: number): AnswerHead["length"] {
  if (status === 204 || status === 304) return 0;
  if (/\bchunked\b/i.test(fieldOf(head, "transfer-encoding"))) return "chunked";
  const length = fieldOf(head, "content-length");
  return /^\d+$/.test(length) ? Number(length) : "until end";
}

/** Empty where there is none. */
function fieldOf(head: string, name: string): string {
  const found = new RegExp(`\\r\\n${name}:[ \\t]*([^\\r\\n]*)`, "i").exec(head);
  return found ? found[1]!.trim() : "";
}

export class AnswerReader {
  #bytes: Buffer = Buffer.alloc(0);
  #head: AnswerHead | null = null;

  /** Whether anything has come. */
  get hasBegun(): boolean {
    return this.#bytes.length > 0;
  }

  /** Null: there is more to come. */
  push(chunk: Buffer): Answer | null {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    this.#head ??= readHead(this.#bytes);
    const head = this.#head;
    if (!head || head.length === "until end") return null;
    const body =
      head.length === "chunked"
        ? unchunked(this.#bytes, head.bodyAt)
        : this.#part(head, head.length);
    return body && { status: head.status, body, staysOpen: head.staysOpen };
  }

  #part({ bodyAt }: AnswerHead, length: number): Buffer | null {
    const end = bodyAt + length;
    return this.#bytes.length < end ? null : this.#bytes.subarray(bodyAt, end);
  }

  /** The connection has ended. Null: in the middle of the answer. */
  end(): Answer | null {
    const head = this.#head;
    if (head?.length !== "until end") return null;
    return { status: head.status, body: this.#bytes.subarray(head.bodyAt), staysOpen: false };
  }
}

/** Null: there are chunks to come. */
function unchunked(bytes: Buffer, from: number): Buffer | null {
  const parts: Buffer[] = [];
  for (let at = from; ; ) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) return null;
    const size = /^[0-9a-f]{1,8}/i.exec(bytes.toString("latin1", at, lineEnd));
    if (!size) throw new Error("the answer is not in chunks, as it says");
    const length = Number.parseInt(size[0], 16);
    const start = lineEnd + 2;
    // Fields may follow the last one, and an empty line ends them.
    if (length === 0) return bytes.indexOf(headEnd, lineEnd) < 0 ? null : Buffer.concat(parts);
    if (bytes.length < start + length + 2) return null;
    parts.push(bytes.subarray(start, start + length));
    at = start + length + 2;
  }
}
