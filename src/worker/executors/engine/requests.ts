// Requests to the engine, several for each command: so as little is done for one as can be. Connections are kept and
// used again, one request at a time; an attached stream keeps its own.

import type { Duplex } from "node:stream";
import type { Answer } from "./answer.js";
import type { Dial } from "./dial.js";
import { Line, NoAnswer, silence } from "./line.js";
import { untilHead, wholeAnswer } from "./upgrade.js";

export type Method = "GET" | "POST" | "DELETE";

export interface AskOptions {
  /** Sent as JSON. */
  readonly body?: object;
  /** Slow an engine may be, on a busy machine; but a broken connection can leave a request open for ever. Null: it may. */
  readonly withinMs?: number | null;
}

/** The engine has answered, and would not. */
export class EngineRefusal extends Error {
  readonly statusCode: number;

  constructor({ status, body }: Pick<Answer, "status" | "body">) {
    super(wordsOf(body) || `it answered ${status}`);
    this.statusCode = status;
  }
}

const answerWithinMs = 120_000;

export class EngineRequests {
  readonly #dial: Dial;
  readonly #idle: Line[] = [];
  readonly #lines = new Set<Line>();
  #closed = false;

  constructor(dial: Dial) {
    this.#dial = dial;
  }

  /** What the engine answers, as JSON; null: nothing. Rejects with an EngineRefusal where it would not. */
  async ask(method: Method, path: string, options: AskOptions = {}): Promise<unknown> {
    const { withinMs = answerWithinMs } = options;
    const text = requestText(method, path, options.body);
    let line = this.#idle.pop();
    const isOld = line !== undefined;
    line ??= await this.#open();
    let answer: Answer;
    try {
      answer = await line.ask(text, withinMs);
    } catch (error) {
      // It was closed before the request came, most likely. What changes something is not asked for twice.
      if (!isOld || method !== "GET" || !(error instanceof NoAnswer)) throw error;
      line = await this.#open();
      answer = await line.ask(text, withinMs);
    }
    if (answer.staysOpen && !this.#closed && !line.isOver) this.#idle.push(line);
    else line.end();
    if (answer.status >= 300) throw new EngineRefusal(answer);
    return answer.body.length === 0 ? null : JSON.parse(answer.body.toString());
  }

  /** Resolves to a stream both ways that nothing but this is on. */
  async attach(path: string): Promise<Duplex> {
    const stream = await this.#dial();
    // Whoever reads it learns of its end; between its readers nobody listens.
    stream.on("error", () => {});
    const fields = { Connection: "Upgrade", Upgrade: "tcp" };
    const timer = setTimeout(() => stream.destroy(silence(answerWithinMs)), answerWithinMs);
    try {
      stream.write(requestText("POST", path, undefined, fields));
      const { head, bytes } = await untilHead(stream);
      if (head.status !== 101 && head.status !== 200) {
        throw new EngineRefusal(await wholeAnswer(stream, bytes));
      }
      if (bytes.length > head.bodyAt) stream.unshift(bytes.subarray(head.bodyAt));
      return stream;
    } catch (error) {
      stream.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#closed = true;
    for (const line of this.#lines) line.end();
  }

  async #open(): Promise<Line> {
    const line = new Line(await this.#dial(), () => {
      this.#lines.delete(line);
      const at = this.#idle.indexOf(line);
      if (at >= 0) this.#idle.splice(at, 1);
    });
    this.#lines.add(line);
    return line;
  }
}

function requestText(
  method: Method,
  path: string,
  body: object | undefined,
  fields: Readonly<Record<string, string>> = {},
): string {
  let head = `${method} ${path} HTTP/1.1\r\nHost: docker\r\n`;
  for (const [name, value] of Object.entries(fields)) head += `${name}: ${value}\r\n`;
  if (!body) return method === "POST" ? `${head}Content-Length: 0\r\n\r\n` : `${head}\r\n`;
  const text = JSON.stringify(body);
  const length = Buffer.byteLength(text);
  return `${head}Content-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${text}`;
}

function wordsOf(body: Buffer): string {
  const text = body.toString().trim();
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === "object" && json !== null && "message" in json) return String(json.message);
  } catch {
    // Not the engine itself: what stands before it.
  }
  return text.slice(0, 1000);
}
