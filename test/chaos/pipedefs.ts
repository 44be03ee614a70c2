// The work that goes on meanwhile: tasks whose fate is known.

import { image } from "../rig/docker.js";

export interface TaskPlan {
  readonly task: string;
  readonly fate: "passed" | "failed";
  /** Exit code of a red one. */
  readonly exitCode?: number;
  /** Red once, then green: its author retries it. */
  readonly flaky?: true;
  readonly calls: readonly CallPlan[];
  /** All at once, instead of one after the other. */
  readonly parallel?: true;
}

interface CallPlan {
  readonly lines: number;
  readonly seconds: number;
}

export interface StagePlan {
  readonly stage: string;
  readonly tasks: readonly TaskPlan[];
}

const quick = { lines: 20, seconds: 0.3 };

/** What both languages do. */
const common: readonly TaskPlan[] = [
  { task: "quick", fate: "passed", calls: [quick] },
  { task: "red", fate: "failed", exitCode: 3, calls: [quick] },
  { task: "steps", fate: "passed", calls: [quick, { lines: 50, seconds: 1 }, quick] },
  { task: "chatty", fate: "passed", calls: [{ lines: 400, seconds: 3 }] },
];

export const plans: Readonly<Record<"ts" | "py", readonly StagePlan[]>> = {
  ts: [
    {
      stage: "work",
      tasks: [
        ...common,
        { task: "flaky", fate: "passed", flaky: true, calls: [quick] },
        {
          task: "pair",
          fate: "passed",
          parallel: true,
          calls: [quick, { lines: 200, seconds: 1 }],
        },
      ],
    },
    {
      stage: "late",
      tasks: [
        { task: "flood", fate: "passed", calls: [{ lines: 30_000, seconds: 0 }] },
        { task: "long", fate: "passed", calls: [{ lines: 80, seconds: 8 }] },
        {
          task: "redlate",
          fate: "failed",
          exitCode: 7,
          calls: [quick, { lines: 10, seconds: 0.5 }],
        },
      ],
    },
  ],
  py: [{ stage: "Work", tasks: common }],
};

export interface Place {
  readonly pipeline: string;
  /** Of the ledger, as a container sees it. */
  readonly host: string;
  readonly port: number;
}

/** No single quote may be in it: it stands between two. */
function commandOf(place: Place, stage: string, plan: TaskPlan, call: number): string {
  const { lines, seconds } = plan.calls[call - 1]!;
  const isLast = call === plan.calls.length;
  const name = `${place.pipeline}/${stage}/${plan.task}`;
  // Some pauses spread over the lines: a fork for each line would cost more than the line.
  const pauses = seconds === 0 ? 1 : Math.min(lines, Math.max(2, Math.round(seconds * 10)));
  const linesEach = Math.ceil(lines / pauses);
  const code = plan.flaky
    ? '[ "$go" = fail ] && code=1 || code=0'
    : `code=${isLast ? (plan.exitCode ?? 0) : 0}`;
  return [
    `exec 3<>/dev/tcp/${place.host}/${place.port} || exit 97`,
    `echo "start $HOSTNAME ${name} ${call}" >&3`,
    "read -r go <&3 || exit 97",
    "i=0",
    `while [ $i -lt ${lines} ]; do`,
    `  to=$((i + ${linesEach})); [ $to -gt ${lines} ] && to=${lines}`,
    `  seq -f "$HOSTNAME ${call} %.0f" $((i + 1)) $to || exit 98`,
    "  i=$to",
    ...(seconds > 0 ? [`  sleep ${(seconds / pauses).toFixed(3)}`] : []),
    "done",
    code,
    'echo "end $HOSTNAME $code $i" >&3',
    "read -r ok <&3 || exit 97",
    "exit $code",
  ].join("\n");
}

/** As a shell sees it: dash has no network. */
function shellCommand(place: Place, stage: string, plan: TaskPlan, call: number): string {
  return `exec bash -c '${commandOf(place, stage, plan, call)}'`;
}

/** What the task's own code prints before each call, once, whoever goes on with it. */
export function ownLine(plan: TaskPlan, call: number): string {
  return `own ${plan.task} ${call}`;
}

export function typescriptPipedef(place: Place): string {
  const lines = ['import { run, stage } from "bettertest";', `const image = "${image}";`];
  for (const { stage, tasks } of plans.ts) {
    lines.push(`stage(${JSON.stringify(stage)})`);
    for (const plan of tasks) {
      const calls = plan.calls.map((_, index) => {
        const command = JSON.stringify(shellCommand(place, stage, plan, index + 1));
        return { own: JSON.stringify(ownLine(plan, index + 1)), run: `run(image, ${command})` };
      });
      const body = plan.parallel
        ? [
            ...calls.map(({ own }) => `console.log(${own});`),
            `await Promise.all([${calls.map(({ run }) => run).join(", ")}]);`,
          ]
        : calls.flatMap(({ own, run }) => [`console.log(${own});`, `await ${run};`]);
      const options = plan.flaky ? ", { retries: 1 }" : "";
      lines.push(`  .task("${plan.task}", async () => { ${body.join(" ")} }${options})`);
    }
    lines.push("  ;");
  }
  return `${lines.join("\n")}\n`;
}

export function pythonPipedef(place: Place): string {
  const lines = ["from bettertest import Stage, run", `IMAGE = "${image}"`];
  for (const { stage, tasks } of plans.py) {
    lines.push("", `class ${stage}(Stage):`);
    for (const plan of tasks) {
      lines.push(`    def task_${plan.task}():`);
      plan.calls.forEach((_, index) => {
        // JSON's strings are Python's too.
        const command = JSON.stringify(shellCommand(place, stage, plan, index + 1));
        lines.push(`        print(${JSON.stringify(ownLine(plan, index + 1))})`);
        lines.push(`        run(IMAGE, ${command})`);
      });
    }
  }
  return `${lines.join("\n")}\n`;
}
