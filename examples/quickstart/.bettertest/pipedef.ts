// The example of `npm run quickstart`. Tasks of a stage run side by side, each in a fresh container;
// the second stage starts when the first is green.
import { run, Stage, stage } from "bettertest";

const IMAGE = "bettertest-base";

export class Checks extends Stage {
  static task_shell() {
    return run(IMAGE, 'echo "shell: $0, user: $(id -un)" && date');
  }

  static task_arithmetic() {
    return run(
      IMAGE,
      "sum=0; for n in $(seq 1 100); do sum=$((sum + n)); done; echo $sum; test $sum = 5050",
    );
  }

  static async task_environment() {
    await run(IMAGE, 'echo "hello, $NAME" && test "$NAME" = world', { env: { NAME: "world" } });
    // A non-zero exit makes a task red, unless it is asked for.
    const { exitCode } = await run(IMAGE, "exit 7", { check: false });
    if (exitCode !== 7) throw new Error(`expected exit code 7, got ${exitCode}`);
  }

  static task_slow_one() {
    return run(IMAGE, "for n in 1 2 3 4; do echo step $n of 4; sleep 0.3; done");
  }
}

// Tasks can come from a loop: one for each file, package, browser, ...
const sorting = stage("Sorting");
for (const count of [10, 1000, 100_000]) {
  sorting.task(`sort_${count}`, () =>
    run(
      IMAGE,
      `seq ${count} | sort -rn | head -3; test $(seq ${count} | sort -rn | wc -l) = ${count}`,
    ),
  );
}
