// A boss in a process of its own, to be killed and started again on the same folder.

import { findTask, type Run } from "../../src/model/run.js";
import type { LoggedEvent, OutputMarksView, RunSnapshot } from "../../src/wire/boss.js";
import { type RunningCli, startCli } from "../cli/rig.js";

export interface BossProcess {
  readonly url: string;
  readonly cli: RunningCli;
  start(body?: object): Promise<number>;
  run(id: number): Promise<Run>;
  /** All there are, the last first of one that has ended. */
  events(id: number): Promise<LoggedEvent[]>;
  /** Resolves when the run says so; reads its events as they come. */
  sees(id: number, wanted: (logged: LoggedEvent) => boolean): Promise<LoggedEvent>;
  finished(id: number): Promise<Run>;
  output(id: number, stage: string, task: string, attempt?: number): Promise<string>;
  marks(id: number, stage: string, task: string): Promise<OutputMarksView["marks"]>;
  kill(): Promise<void>;
  /** SIGTERM; its exit code. */
  stop(): Promise<number>;
}

export async function startBossProcess(
  args: readonly string[],
  cwd: string,
  command = "boss",
): Promise<BossProcess> {
  const cli = startCli([command, "--port", "0", "--json", ...args], { cwd });
  const text = await cli.prints(/"type":"boss","url":"[^"]+"/);
  const url = /"type":"boss","url":"([^"]+)"/.exec(text)![1]!;
  const json = async <T>(path: string, init?: RequestInit): Promise<T> => {
    const response = await fetch(url + path, init);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  };
  const taskPath = (id: number, stage: string, task: string) =>
    `/api/runs/${id}/tasks/${encodeURIComponent(stage)}/${encodeURIComponent(task)}`;

  async function* follow(id: number): AsyncGenerator<LoggedEvent> {
    const response = await fetch(`${url}/api/runs/${id}/events`);
    let rest = "";
    for await (const chunk of response.body!) {
      const lines = (rest + Buffer.from(chunk).toString()).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        if (line.startsWith("data:")) yield JSON.parse(line.slice(5));
      }
    }
  }

  const boss: BossProcess = {
    url,
    cli,
    start: async (body = {}) => {
      const { run } = await json<{ run: number }>("/api/runs", {
        method: "POST",
        body: JSON.stringify(body),
      });
      return run;
    },
    run: async (id) => (await json<RunSnapshot>(`/api/runs/${id}`)).run,
    async events(id) {
      const all: LoggedEvent[] = [];
      for await (const logged of follow(id)) all.push(logged);
      return all;
    },
    async sees(id, wanted) {
      for await (const logged of follow(id)) if (wanted(logged)) return logged;
      throw new Error(`run ${id} ended without it: ${wanted}`);
    },
    async finished(id) {
      await boss.events(id);
      return boss.run(id);
    },
    async output(id, stage, task, attempt) {
      const which = attempt === undefined ? "" : `?attempt=${attempt}`;
      return (await fetch(`${url}${taskPath(id, stage, task)}/output${which}`)).text();
    },
    marks: async (id, stage, task) =>
      (await json<OutputMarksView>(`${taskPath(id, stage, task)}/output/marks`)).marks,
    async kill() {
      cli.child.kill("SIGKILL");
      await cli.ended;
    },
    async stop() {
      cli.child.kill("SIGTERM");
      return (await cli.ended).exitCode;
    },
  };
  return boss;
}

export function attemptsOf(run: Run, stage: string, task: string): number {
  return findTask(run, { stage, task })?.attempts.length ?? 0;
}
