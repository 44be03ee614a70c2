// Sends spans to an OpenTelemetry receiver: OTLP over HTTP, as JSON. Nobody waits for it. What the receiver
// does not take for a while is kept up to a limit and sent again; what is above the limit is dropped, and
// counted.

import { setTimeout as wait } from "node:timers/promises";
import { Bell } from "../../lib/bell.js";
import type { Span, SpanAttributes } from "./spans.js";

export interface OtlpOptions {
  /** Of the receiver, with or without /v1/traces. */
  readonly url: string;
  readonly log: (line: string) => void;
  readonly queueLimit?: number;
  readonly batchSize?: number;
  /** How long the first span of a batch waits for more. */
  readonly settleMs?: number;
  readonly firstRetryMs?: number;
  readonly longestRetryMs?: number;
  readonly answerWithinMs?: number;
}

type Answer =
  | { readonly kind: "taken"; readonly rejected: number }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "away"; readonly reason: string };

export class OtlpExporter {
  readonly #url: string;
  readonly #options: Required<Omit<OtlpOptions, "url">>;
  readonly #queue: Span[] = [];
  readonly #added = new Bell();
  /** Nothing more will come. */
  readonly #closing = new AbortController();
  readonly #givingUp = new AbortController();
  readonly #working: Promise<void>;
  #sent = 0;
  #dropped = 0;
  #isAway = false;

  constructor({ url, ...options }: OtlpOptions) {
    this.#url = tracesUrl(url);
    this.#options = {
      queueLimit: 10_000,
      batchSize: 500,
      settleMs: 1_000,
      firstRetryMs: 500,
      longestRetryMs: 30_000,
      answerWithinMs: 10_000,
      ...options,
    };
    this.#working = this.#work();
  }

  get counts(): { readonly sent: number; readonly dropped: number } {
    return { sent: this.#sent, dropped: this.#dropped };
  }

  add(spans: readonly Span[]): void {
    for (const span of spans) {
      if (this.#queue.length < this.#options.queueLimit) this.#queue.push(span);
      else this.#dropped += 1;
    }
    if (spans.length > 0) this.#added.ring();
  }

  /** Sends what is left, as far as it goes within this time. */
  async close(patienceMs: number): Promise<void> {
    const timeUp = setTimeout(() => this.#givingUp.abort(), patienceMs);
    this.#closing.abort();
    await this.#working;
    clearTimeout(timeUp);
    this.#dropped += this.#queue.length;
    this.#queue.length = 0;
  }

  async #work(): Promise<void> {
    const closing = this.#closing.signal;
    const { batchSize, settleMs } = this.#options;
    while (!this.#givingUp.signal.aborted) {
      if (this.#queue.length === 0) {
        if (closing.aborted) return;
        await this.#added.heard(closing);
        continue;
      }
      if (this.#queue.length < batchSize) await pause(settleMs, closing);
      const batch = this.#queue.slice(0, batchSize);
      const answer = await this.#untilThere(batch);
      if (answer.kind === "away") return;
      this.#queue.splice(0, batch.length);
      this.#count(batch, answer);
    }
  }

  /** Again and again, with growing waits, until the receiver has said something or it is given up. */
  async #untilThere(batch: readonly Span[]): Promise<Answer> {
    const givingUp = this.#givingUp.signal;
    const { firstRetryMs, longestRetryMs, log } = this.#options;
    for (let retryMs = firstRetryMs; ; retryMs = Math.min(retryMs * 2, longestRetryMs)) {
      const answer = await this.#post(batch);
      if (answer.kind === "away" && !this.#isAway) {
        this.#isAway = true;
        log(`traces cannot be sent to ${this.#url} (${answer.reason}); trying again`);
      }
      if (answer.kind === "taken" && this.#isAway) {
        this.#isAway = false;
        log(`traces are sent to ${this.#url} again`);
      }
      if (answer.kind !== "away" || givingUp.aborted) return answer;
      const waiting = this.#closing.signal.aborted ? givingUp : this.#closing.signal;
      const waitMs = this.#closing.signal.aborted ? firstRetryMs : retryMs;
      await pause(waitMs * (0.5 + Math.random() / 2), waiting);
      if (givingUp.aborted) return answer;
    }
  }

  #count(batch: readonly Span[], answer: Answer): void {
    const rejected = answer.kind === "taken" ? answer.rejected : batch.length;
    this.#dropped += rejected;
    this.#sent += batch.length - rejected;
    if (answer.kind === "refused") {
      this.#options.log(`${this.#url} refused ${batch.length} spans: ${answer.reason}`);
    }
  }

  async #post(batch: readonly Span[]): Promise<Answer> {
    const tooLate = AbortSignal.timeout(this.#options.answerWithinMs);
    try {
      const response = await fetch(this.#url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(otlpRequest(batch)),
        redirect: "error",
        signal: AbortSignal.any([tooLate, this.#givingUp.signal]),
      });
      const text = (await response.text()).slice(0, 10_000);
      if (response.ok) return { kind: "taken", rejected: rejectedSpans(text, batch.length) };
      const reason = `it answered ${response.status}`;
      const mayPass = [408, 429].includes(response.status) || response.status >= 500;
      return { kind: mayPass ? "away" : "refused", reason };
    } catch (error) {
      return { kind: "away", reason: reasonOf(error) };
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return wait(ms, undefined, { signal }).catch(() => {});
}

function tracesUrl(url: string): string {
  const base = url.replace(/\/+$/, "");
  return base.endsWith("/v1/traces") ? base : `${base}/v1/traces`;
}

/** A receiver may take a part, and says how much it did not. */
function rejectedSpans(text: string, most: number): number {
  try {
    const rejected = Number(JSON.parse(text)?.partialSuccess?.rejectedSpans ?? 0);
    return rejected > 0 ? Math.min(rejected, most) : 0;
  } catch {
    return 0;
  }
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}

const statusCodes = { unset: 0, ok: 1, error: 2 } as const;
const internalSpan = 1;

function otlpRequest(spans: readonly Span[]): object {
  return {
    resourceSpans: [
      {
        resource: { attributes: otlpAttributes({ "service.name": "bettertest" }) },
        scopeSpans: [{ scope: { name: "bettertest" }, spans: spans.map(otlpSpan) }],
      },
    ],
  };
}

function otlpSpan(span: Span): object {
  const { traceId, spanId, parentSpanId, name } = span;
  return {
    traceId,
    spanId,
    ...(parentSpanId !== undefined && { parentSpanId }),
    name,
    kind: internalSpan,
    startTimeUnixNano: `${span.startedAt}000000`,
    endTimeUnixNano: `${span.endedAt}000000`,
    attributes: otlpAttributes(span.attributes),
    status: { code: statusCodes[span.status] },
  };
}

function otlpAttributes(attributes: SpanAttributes): object[] {
  return Object.entries(attributes).map(([key, value]) => ({
    key,
    value: typeof value === "number" ? { intValue: String(value) } : { stringValue: value },
  }));
}
