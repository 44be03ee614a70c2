// Numbers for a monitoring system, as OpenMetrics text.

export type Labels = Readonly<Record<string, string>>;

interface Sample {
  readonly suffix?: string;
  readonly labels?: Labels;
  readonly value: number;
}

/** One metric with all its series. */
export interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly samples: readonly Sample[];
}

export const openMetricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8";

export function openMetricsText(families: readonly Family[]): string {
  const lines = families.flatMap(({ name, type, help, samples }) => [
    `# TYPE ${name} ${type}`,
    `# HELP ${name} ${help}`,
    ...samples.map(({ suffix = "", labels = {}, value }) => {
      return `${name}${suffix}${labelsText(labels)} ${value}`;
    }),
  ]);
  return `${lines.join("\n")}\n# EOF\n`;
}

function labelsText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

export function gauge(name: string, help: string, value: number): Family {
  return { name, type: "gauge", help, samples: [{ value }] };
}

export function counter(name: string, help: string, value: number): Family {
  return { name, type: "counter", help, samples: [{ suffix: "_total", value }] };
}

/** Counts by one label. Values that are known beforehand begin at 0, so that a first one can be seen to grow. */
export class Tally {
  readonly #label: string;
  readonly #counts: Map<string, number>;

  constructor(label: string, known: readonly string[]) {
    this.#label = label;
    this.#counts = new Map(known.map((value) => [value, 0]));
  }

  add(value: string): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + 1);
  }

  counter(name: string, help: string): Family {
    return { name, type: "counter", help, samples: this.#samples("_total") };
  }

  gauge(name: string, help: string): Family {
    return { name, type: "gauge", help, samples: this.#samples("") };
  }

  #samples(suffix: string): Sample[] {
    return [...this.#counts].map(([value, count]) => ({
      suffix,
      labels: { [this.#label]: value },
      value: count,
    }));
  }
}

export class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;
  #total = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  observe(value: number): void {
    // A stepped clock must not make a sum of observations shrink: that reads as a restart.
    const seen = Math.max(0, value);
    this.#sum += seen;
    this.#total += 1;
    const bucket = this.#bounds.findIndex((bound) => seen <= bound);
    if (bucket >= 0) this.#counts[bucket]! += 1;
  }

  family(name: string, help: string): Family {
    let below = 0;
    const buckets = this.#bounds.map((bound, index) => {
      below += this.#counts[index]!;
      return { suffix: "_bucket", labels: { le: bucketBound(bound) }, value: below };
    });
    return {
      name,
      type: "histogram",
      help,
      samples: [
        ...buckets,
        { suffix: "_bucket", labels: { le: "+Inf" }, value: this.#total },
        { suffix: "_count", value: this.#total },
        { suffix: "_sum", value: this.#sum },
      ],
    };
  }
}

/** Canonical: a reader that compares texts must not take 1 and 1.0 for two bounds. */
function bucketBound(bound: number): string {
  return Number.isInteger(bound) ? bound.toFixed(1) : String(bound);
}
