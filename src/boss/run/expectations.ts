// What a run is about to ask of its workers, told ahead so that they can have it ready. It is known from the last
// run of the pipeline; of a stage without a past, its first call stands for all that are still to come.

import type { RunEvent } from "../../model/events.js";
import type { AskedCommand, ExpectedSandbox, SandboxShape } from "../../wire/worker.js";
import type { Workers } from "../workers.js";
import { seenAt } from "./call-options.js";
import type { NeedsMemory, RememberedNeeds } from "./remembered-needs.js";

/** Calls that are alike to a worker before it knows their commands. */
interface Need {
  /** Null: any of the boss's own. */
  readonly worker: string | null;
  readonly shape: SandboxShape;
  count: number;
}

/** By stage, and in it by everything but the count. */
type Needs = Map<string, Map<string, Need>>;

export interface RunExpectations {
  /** Nothing is known but the last run. */
  begun(): void;
  /** `left`: its tasks that have not started. */
  stageStarted(stage: string, left: () => number): void;
  called(stage: string, worker: string | null, request: AskedCommand): void;
  ended(): void;
}

export interface ExpectationsOptions {
  readonly workers: Pick<Workers, "expect">;
  /** Of the pipeline's last run, if there is one. */
  readonly lastEvents: (pipeline: string) => readonly RunEvent[];
  /** Of the only pipeline there is, where its history does not outlive this process. */
  readonly memory?: NeedsMemory;
}

export class Expectations {
  readonly #options: ExpectationsOptions;
  readonly #past = new Map<string, Needs>();
  /** By worker, as long as nothing was asked of it since: the same once more might overtake what was asked. */
  readonly #told = new Map<string | null, string>();

  constructor(options: ExpectationsOptions) {
    this.#options = options;
  }

  /** Before the pipedef has loaded: what its first stage asked for the last time, and runs at once. */
  ahead(slots: number): void {
    const { memory } = this.#options;
    const [first] = memory?.recall() ?? [];
    if (!first) return;
    const limited = first.expected.map((shape) => ({
      ...shape,
      count: Math.min(shape.count, slots),
    }));
    this.#tellOne(null, limited.slice(0, mostShapes));
  }

  ofRun(pipeline: string): RunExpectations {
    const { lastEvents, memory } = this.#options;
    const past =
      this.#past.get(pipeline) ??
      (memory ? recalled(memory.recall()) : needsOf(lastEvents(pipeline)));
    this.#past.set(pipeline, past);
    const made: Needs = new Map();
    const announced = new Map<string, Need>();
    let left = () => 0;

    const announce = (needs: ReadonlyMap<string, Need>) => {
      for (const [key, need] of needs) announced.set(key, need);
      this.#tell([...needs.values()]);
    };
    /** The stage and the one after it, whose turn may come soon. */
    const announceFrom = (stages: readonly string[]) => {
      const needs = new Map<string, Need>();
      for (const stage of stages.slice(0, 2)) {
        for (const [key, need] of past.get(stage) ?? []) add(needs, key, need);
      }
      announce(needs);
    };

    return {
      begun: () => announceFrom([...past.keys()]),
      stageStarted(stage, waiting) {
        left = waiting;
        made.set(stage, new Map());
        const stages = [...past.keys()];
        const at = stages.indexOf(stage);
        if (at >= 0) announceFrom(stages.slice(at));
      },
      called: (stage, worker, request) => {
        this.#told.delete(worker);
        const needs = made.get(stage) ?? new Map<string, Need>();
        made.set(stage, needs);
        const shape = shapeOf(request);
        const key = JSON.stringify([worker, shape]);
        const isFirst = !needs.has(key);
        add(needs, key, { worker, shape, count: 1 });
        const isNews = isFirst && needs.size === 1 && !past.get(stage)?.has(key);
        if (isNews && left() > 0) announce(new Map([[key, { worker, shape, count: left() }]]));
      },
      ended: () => {
        // What was not reached this time is remembered from before.
        for (const [stage, needs] of made) past.set(stage, needs);
        memory?.keep(toRemember(past));
        this.#tell([...announced.values()].map((need) => ({ ...need, count: 0 })));
      },
    };
  }

  #tell(needs: readonly Need[]): void {
    const byWorker = new Map<string | null, ExpectedSandbox[]>();
    for (const { worker, shape, count } of needs) {
      const list = byWorker.get(worker) ?? [];
      byWorker.set(worker, list);
      // A worker is no place for a list that somebody made endless.
      if (list.length < mostShapes) list.push({ ...shape, count });
    }
    for (const [worker, expected] of byWorker) this.#tellOne(worker, expected);
  }

  #tellOne(worker: string | null, expected: readonly ExpectedSandbox[]): void {
    const text = JSON.stringify(expected.map(sorted));
    if (this.#told.get(worker) === text) return;
    this.#told.set(worker, text);
    this.#options.workers.expect(worker, expected);
  }
}

/** Of the boss's own workers: the addresses of others are the pipedef's to say. */
function toRemember(needs: Needs): RememberedNeeds {
  const stages = [...needs].map(([stage, ofStage]) => {
    const own = [...ofStage.values()].filter(({ worker }) => worker === null);
    const expected = own.map(({ shape, count }) => ({ ...shape, count }));
    return { stage, expected: expected.slice(0, mostShapes) };
  });
  return stages.filter(({ expected }) => expected.length > 0);
}

function recalled(remembered: RememberedNeeds): Needs {
  return new Map(
    remembered.map(({ stage, expected }) => {
      const needs = expected.map(({ count, ...known }): [string, Need] => {
        const shape = shapeOfCall(known, false, known.sourcePath);
        return [JSON.stringify([null, shape]), { worker: null, shape, count }];
      });
      return [stage, new Map(needs)];
    }),
  );
}

/** What was remembered has its words in another order. */
function sorted(expected: ExpectedSandbox): [string, unknown][] {
  return Object.entries(expected)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

const mostShapes = 20;

function add(needs: Map<string, Need>, key: string, need: Need) {
  const known = needs.get(key);
  if (known) known.count += need.count;
  else needs.set(key, { ...need });
}

function needsOf(events: readonly RunEvent[]): Needs {
  const needs: Needs = new Map();
  /** Which calls named no worker is told before they have started. */
  const any = new Set<string>();
  const withServices = new Set<string>();
  for (const event of events) {
    if (event.type !== "call-sent" && event.type !== "call-started") continue;
    const { stage, task, attempt, call } = event;
    const id = JSON.stringify([task, attempt, call]);
    if (event.type === "call-sent") {
      if (event.any) any.add(id);
      if (event.services) withServices.add(id);
      continue;
    }
    if (event.builds) continue;
    const ofStage = needs.get(stage) ?? new Map<string, Need>();
    needs.set(stage, ofStage);
    const worker = any.has(id) ? null : event.worker;
    const shape = shapeOfCall(event, withServices.has(id), event.sourcePath);
    add(ofStage, JSON.stringify([worker, shape]), { worker, shape, count: 1 });
  }
  return needs;
}

function shapeOf(request: AskedCommand): SandboxShape {
  const { source, services } = request;
  return shapeOfCall(request, services !== undefined, source && seenAt(source));
}

/** What has services comes to their network by and by, and is made on none. */
function shapeOfCall(
  call: Omit<SandboxShape, "sourcePath">,
  hasServices: boolean,
  sourcePath: string | undefined,
): SandboxShape {
  const { image, user, workdir, cpus, memoryBytes, diskBytes, pids } = call;
  const network = hasServices ? false : call.network;
  return { image, user, workdir, cpus, memoryBytes, diskBytes, pids, network, sourcePath };
}
